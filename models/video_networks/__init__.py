"""Networks that turn pictures of videos into features: S3D and I3D, on the weights that their authors published."""
