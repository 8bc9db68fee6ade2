"""The configurations: plain dictionaries, stored as JSON in the metadata of an exported checkpoint."""

import copy

MOBILE_SAM = {
    "format_version": 1,
    "name": "mobile_sam",
    "image_encoder": {
        "type": "tiny_vit",
        "img_size": 1024,  # side of the padded square input, in pixels
        "in_chans": 3,
        # one entry per stage; the first stage is convolutional and uses neither heads nor windows
        "embed_dims": [64, 128, 160, 320],
        "depths": [2, 2, 6, 2],
        "num_heads": [2, 4, 5, 10],
        "window_sizes": [7, 7, 14, 7],
        "merge_strides": [2, 2, 1],  # between the stages; the patch embedding before them has stride 4
        "mlp_ratio": 4.0,
        "mbconv_expand_ratio": 4.0,
        "local_conv_size": 3,
        "out_chans": 256,
        "bn_eps": 1e-5,
        "ln_eps": 1e-5,
        "neck_ln_eps": 1e-6,
    },
    "prompt_encoder": {"embed_dim": 256, "mask_in_chans": 16},
    "mask_decoder": {
        "transformer_dim": 256,
        "depth": 2,
        "num_heads": 8,
        "mlp_dim": 2048,
        "attention_downsample_rate": 2,
        "num_multimask_outputs": 3,
        "iou_head_depth": 3,
        "iou_head_hidden_dim": 256,
        "ln_eps": 1e-5,
        "upscale_ln_eps": 1e-6,
    },
    # of RGB in 0..255
    "pixel_mean": [123.675, 116.28, 103.53],
    "pixel_std": [58.395, 57.12, 57.375],
    "mask_threshold": 0.0,
}

NANO = copy.deepcopy(MOBILE_SAM)
NANO["name"] = "nano"
NANO["image_encoder"].update(
    img_size=512,
    embed_dims=[32, 64, 128, 160],
    depths=[1, 2, 6, 2],
    num_heads=[1, 2, 4, 5],
    window_sizes=[8, 8, 16, 32],  # the last stage's window is its whole map
    out_chans=128,
)
NANO["prompt_encoder"].update(embed_dim=128, mask_in_chans=16)
NANO["mask_decoder"].update(transformer_dim=128, num_heads=4, mlp_dim=512, iou_head_hidden_dim=128)
# Of everything mode, chosen with `training.everything`; see the model card. SAM's own, 0.88, 0.95 and 0.7, would leave
# next to nothing of what so small a model trusts, and keep many masks twice.
NANO["mask_generator"] = {"pred_iou_thresh": 0.5, "stability_score_thresh": 0.7, "box_nms_thresh": 0.5}
# Edges that follow the picture, see `training.upsampling`: radius in pixels at half the input's size, eps for colours
# of 0..1.
NANO["upsampling"] = {"guided": {"radius": 4, "eps": 1e-4, "clip": 2.0}}
