"""Caffe's AlexNet and the tensors that were published for it."""
