"""From a measurement to images and their figures: on which device, by which path, stage by stage."""
