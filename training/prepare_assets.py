"""Turn the unpacked source packages into the ASSETS folder that render.py reads.

    npm pack @lobehub/fluent-emoji-3d@1.1.0 @pmndrs/assets@1.7.0                      (then tar xzf)
    apt-get download fonts-noto-color-emoji openclipart-png lomiri-wallpapers-16.04   (then dpkg -x)
    git clone https://github.com/BuddiesOfBudgie/budgie-backgrounds                   (its history holds more photos)

    python -m training.prepare_assets SOURCES ASSETS

SOURCES holds one sub-folder per package: fluent/, pmndrs/, noto/, openclipart/, lomiri/, budgie/ (all *.jpg of the
repository); a folder that is missing or empty is left out. Needs fonttools and OpenEXR.
"""

import argparse
import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None

# CC-BY-4.0 or CC0 photos of lomiri-wallpapers; its share-alike photos are left out
LOMIRI = [
    "aitzgorri_by_Aitzol_Berasategi",
    "friends_by_Aitzol_Berasategi",
    "life_by_Aitzol_Berasategi",
    "picosdeeuropa_by_Aitzol_Berasategi",
    "Picture_0B_by_freespace",
    "Picture_1A_by_freespace",
    "seeding_by_Clements_Engelhardt",
    "sunset_by_Aitzol_Berasategi",
    "umang_by_Abhishek_Mudgal",
    "Wine_by_Jakkub_Mede",
]
# Code points of the skin tones: variants of an emoji that add little
SKIN = {"1f3fb", "1f3fc", "1f3fd", "1f3fe", "1f3ff"}
SKIP_CLIP = ("buttons/", "shapes/", "logos/", "signs_and_symbols/flags", "geography/")


def put_sprite(dst: Path, image: Image.Image, kind: str, name: str, longest: int = 288) -> None:
    """Crop to the opaque part, drop non-objects, shrink to `longest` pixels, store as WebP."""
    image = image.convert("RGBA")
    alpha = np.asarray(image)[..., 3] > 127
    ys, xs = np.nonzero(alpha)
    if len(ys) < 900:
        return
    image = image.crop((xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    if max(image.size) > 6 * min(image.size):
        return
    cover = (np.asarray(image)[..., 3] > 127).mean()
    if kind == "clip" and not 0.12 < cover < 0.97:
        return
    image.thumbnail((longest, longest), Image.LANCZOS)
    image.save(f"{dst}/fg/{kind}__{name}.webp", quality=88, method=2)


def embedded(path: Path) -> bytes:
    """The bytes of a base64 data URL exported by a .js module."""
    return base64.b64decode(path.read_text().split("base64,")[1].split("'")[0])


def fluent_sprites(src: Path, dst: Path) -> None:
    for f in sorted(src.glob("fluent/**/*.webp")):
        if not SKIN & set(f.stem.split("-")):
            put_sprite(dst, Image.open(f), "fluent", f.stem)


def noto_sprites(src: Path, dst: Path) -> None:
    from fontTools.ttLib import TTFont

    for font in src.glob("noto/**/NotoColorEmoji.ttf"):
        for glyph, data in TTFont(font)["CBDT"].strikeData[0].items():
            if hasattr(data, "imageData"):
                put_sprite(dst, Image.open(io.BytesIO(data.imageData)), "noto", glyph)


def clip_sprites(src: Path, dst: Path) -> None:
    for base in src.glob("openclipart/**/openclipart/png"):
        for f in sorted(base.glob("**/*.png")):
            rel = f.relative_to(base).as_posix()
            image = Image.open(f)
            has_alpha = image.mode in ("RGBA", "LA", "P")
            if rel.startswith(SKIP_CLIP) or not has_alpha or image.size[0] * image.size[1] > 1.7e8:
                continue
            image.thumbnail((800, 800))
            put_sprite(dst, image, "clip", rel[:-4].replace("/", "~"))


def photos(src: Path, dst: Path) -> None:
    found = [("budgie", f) for f in src.glob("budgie/**/*.jpg")]
    found += [("lomiri", f) for n in LOMIRI for f in src.glob(f"lomiri/**/{n}.jpg")]
    for kind, f in sorted(found):
        image = Image.open(f).convert("RGB")
        image.thumbnail((1600, 1600), Image.LANCZOS)
        image.save(f"{dst}/bg/{kind}-{f.stem}.jpg", quality=92)


def tone_map(linear: np.ndarray) -> np.ndarray:
    """A simple tone mapping of linear RGB (h, w, 3) to uint8: median to a middle grey, soft highlights, gamma 2.2."""
    a = np.nan_to_num(linear, posinf=50).clip(0, 50)
    a = a * float(np.clip(0.25 / max(np.median(a.mean(-1)), 1e-3), 0.3, 8))
    return (np.clip(a / (1 + 0.6 * a), 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def panoramas(src: Path, dst: Path) -> None:
    import OpenEXR

    for f in sorted(src.glob("pmndrs/**/hdri/*.exr.js")):
        temporary = dst / "tmp.exr"
        temporary.write_bytes(embedded(f))
        with OpenEXR.File(str(temporary)) as e:
            linear = e.channels()["RGB"].pixels.astype(np.float32)
        temporary.unlink()
        name = f.name.removesuffix(".exr.js")
        image = Image.fromarray(tone_map(linear)).resize((1536, 768), Image.BICUBIC)
        image.save(f"{dst}/bg/hdri-{name}.jpg", quality=92)


def matcaps(src: Path, dst: Path) -> None:
    for f in sorted(src.glob("pmndrs/**/matcaps/*.js")):
        image = Image.open(io.BytesIO(embedded(f))).convert("RGB").resize((128, 128), Image.LANCZOS)
        image.save(f"{dst}/matcap/{f.name.split('.')[0]}.png")


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("sources", type=Path, help="folder with the unpacked packages")
    ap.add_argument("assets", type=Path, help="folder to write to: fg/ (sprites), bg/ (photos), matcap/ (lit spheres)")
    a = ap.parse_args()
    for folder in ("fg", "bg", "matcap"):
        (a.assets / folder).mkdir(parents=True, exist_ok=True)
    for step in (fluent_sprites, noto_sprites, clip_sprites, photos, panoramas, matcaps):
        step(a.sources, a.assets)


if __name__ == "__main__":
    main()
