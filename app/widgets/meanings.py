"""What the figures of a result mean, their unit, and what is good: a sentence each, wherever they stand."""

from __future__ import annotations

RESIDUAL = (
    "Residual: ‖y − Φx‖ / ‖y‖, the share of the measurement that the result leaves unexplained. 0 to 1, low is good; "
    "near the share of the noise is best"
)
PSNR = "PSNR: peak signal-to-noise ratio to the reference in dB, of cubes the mean over bands. High is good"
MATCHED = "{}. *: once the picture was given the mean of the reference"
SSIM = "SSIM: structural similarity to the reference, up to 1. High is good, 1 is the same picture"
SAM = "SAM: mean angle between the spectra and those of the reference, in degrees. Low is good, 0 is the same shape"
SECONDS = "Time in seconds for this stage; less is faster and says nothing of the quality"
TOOK = "Time of the whole decode, from the first stage to the last"
PANE = f"{RESIDUAL}. PSNR in dB to the reference: high is good. Time for this stage in seconds"

VERDICT_FIT = "Whether this decoder takes the measurement: green fits, amber says what does not and what to do instead"
VERDICT_CAMERA = (
    "Whether the capture shows the mask, shift, step and direction that were assumed: green is yes, amber says what not"
)
VERDICT_RESULT = "Whether the result explains the capture: green is good, amber or grey says what was left over"
FIGURES_RESULT = (
    "The share of the measurement that the result leaves unexplained, in per cent: low is good, and what is left "
    "should look like white noise"
)
MODES = {
    "colour": "All bands as one picture in colour (1)",
    "band": "A single band, or the mean over some (2)",
    "montage": "All bands of the chosen stage at once (3)",
    "residual": "What the chosen stage leaves unexplained of the capture: good is noise without structure (4)",
    "compare": "Two stages, results, decoders or the reference in one picture (5)",
    "reflectance": "What the chosen stage takes for the scene without its light, R (6)",
    "light": "What the chosen stage takes for the light that fell on the scene, L: one number a pixel (7)",
}
WAYS = {
    "side by side": "Both sides beside each other, moved and zoomed together",
    "split": "Both sides in one picture with a divider to drag",
    "blink": "One side after the other in the same place: what differs jumps (B)",
    "difference": "Right minus left: white is the same, blue less, red more",
    "disagreement": "Where results of at least two decoders differ from each other; low is good, but no proof",
}
