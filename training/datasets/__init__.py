"""One file a data set, each turning what is published into clips, prompts and labels."""
