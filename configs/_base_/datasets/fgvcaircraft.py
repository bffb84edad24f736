"""FGVCAircraft: 100 variants of aircraft.

Files, under data/: fgvc_aircraft/images/, variants.txt, images_variant_*.txt.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='FGVCAircraft', data_root='data')
