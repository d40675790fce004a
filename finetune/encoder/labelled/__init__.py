"""Images with labels and no report: data, losses and the stage that starts on them."""
