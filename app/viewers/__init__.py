"""What is looked at: pictures of stages and bands, spectra, convergence."""
