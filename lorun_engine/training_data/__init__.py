"""What the samples of a training are drawn from: files, photographs, computed scenes, and the camera."""
