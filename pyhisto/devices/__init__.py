"""Cards (GPUs): which there are, whether the Caffe in use can run on them, and which job gets which."""
