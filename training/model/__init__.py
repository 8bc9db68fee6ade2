"""The Segment Anything network with a TinyViT image encoder, in PyTorch.

Every size is read from a configuration (`config.py`), so the same code builds MobileSAM and the small `nano` model.
Parameter names follow the MobileSAM checkpoint, hence either set of weights loads with `load_state_dict`. Written
from the description of the architecture in the SAM, TinyViT and MobileSAM papers.

Shapes in the doc comments: B images or masks, N prompt tokens, C channels, h x w the image embedding.
"""
