"""The class C2S: language models of cell sentences, on AnnData."""
