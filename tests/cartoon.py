"""A cartoon of a face, in flat colours and hard lines."""

from PIL import Image, ImageDraw


def cartoon(side: int) -> Image.Image:
    image = Image.new("RGB", (side, side), (120, 190, 240))
    draw, unit = ImageDraw.Draw(image), side / 100
    for box, colour in [
        ((15, 5, 85, 98), (245, 200, 160)),
        ((12, 2, 88, 28), (90, 50, 20)),
        ((28, 38, 44, 50), (255, 255, 255)),
        ((56, 38, 72, 50), (255, 255, 255)),
        ((34, 40, 41, 49), (30, 60, 120)),
        ((60, 40, 67, 49), (30, 60, 120)),
        ((45, 52, 55, 66), (225, 165, 130)),
        ((36, 74, 64, 82), (190, 40, 50)),
    ]:
        draw.ellipse([edge * unit for edge in box], fill=colour, outline=(20, 10, 10), width=max(1, round(unit)))
    for left in (26, 56):
        draw.line([(left * unit, 34 * unit), ((left + 18) * unit, 33 * unit)], fill=(60, 30, 10), width=round(2 * unit))
    return image
