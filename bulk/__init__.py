"""Embeds whole data sets by command: poses, videos and texts in, Parquet files of vectors out; resumable."""
