"""Whether a capture fits its mask and dispersion: searched, corrected, and measured again from the result."""
