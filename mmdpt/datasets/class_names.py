"""Class names that ship with the package, in label order.

The names of the published split files, letter for letter. The other benchmarks'
names are read from the data; see :func:`mmdpt.datasets.resolve_classes`.
"""

DTD = (
    'banded', 'blotchy', 'braided', 'bubbly', 'bumpy', 'chequered',
    'cobwebbed', 'cracked', 'crosshatched', 'crystalline', 'dotted',
    'fibrous', 'flecked', 'freckled', 'frilly', 'gauzy', 'grid', 'grooved',
    'honeycombed', 'interlaced', 'knitted', 'lacelike', 'lined', 'marbled',
    'matted', 'meshed', 'paisley', 'perforated', 'pitted', 'pleated',
    'polka-dotted', 'porous', 'potholed', 'scaly', 'smeared', 'spiralled',
    'sprinkled', 'stained', 'stratified', 'striped', 'studded', 'swirly',
    'veined', 'waffled', 'woven', 'wrinkled', 'zigzagged')

EUROSAT = (
    'Annual Crop Land', 'Forest', 'Herbaceous Vegetation Land',
    'Highway or Road', 'Industrial Buildings', 'Pasture Land',
    'Permanent Crop Land', 'Residential Buildings', 'River', 'Sea or Lake')

OXFORD_PETS = (
    'abyssinian', 'american_bulldog', 'american_pit_bull_terrier',
    'basset_hound', 'beagle', 'bengal', 'birman', 'bombay', 'boxer',
    'british_shorthair', 'chihuahua', 'egyptian_mau',
    'english_cocker_spaniel', 'english_setter', 'german_shorthaired',
    'great_pyrenees', 'havanese', 'japanese_chin', 'keeshond', 'leonberger',
    'maine_coon', 'miniature_pinscher', 'newfoundland', 'persian',
    'pomeranian', 'pug', 'ragdoll', 'russian_blue', 'saint_bernard',
    'samoyed', 'scottish_terrier', 'shiba_inu', 'siamese', 'sphynx',
    'staffordshire_bull_terrier', 'wheaten_terrier', 'yorkshire_terrier')

# Of the handwritten digits that come with scikit-learn.
DIGITS = ('zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven',
          'eight', 'nine')
