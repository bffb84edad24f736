"""OxfordPets: 37 breeds of cats and dogs.

Files, under data/: oxford_pets/images/ and split_zhou_OxfordPets.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='OxfordPets', data_root='data')
