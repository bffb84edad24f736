"""The benchmarks: templates, folders, files, sizes, where to get them.

Folders, files, links and templates are those of
https://github.com/KaiyangZhou/CoOp (DATASETS.md and datasets/, MIT licence);
the sizes are those published with it. A row holds the arguments of
:class:`mmdpt.datasets.Benchmark`, whose name is the row's key.
"""

from . import class_names

PHOTO = ('a photo of a {}.',)
DRIVE = 'https://drive.google.com/file/d/'
VGG = 'https://www.robots.ox.ac.uk/~vgg/data/'
CLASSNAMES = (
    f'classnames.txt ({DRIVE}1-61f_ol79pViBFDG_IDlUQSwoLcn2XXF; '
    'one line per class: synset, space, name)'
)
COPIED = 'copy classnames.txt there from "imagenet".'

ROWS = dict(
    ImageNet=dict(
        templates=PHOTO,
        folder='imagenet',
        image_dir='images',
        layout='imagenet',
        num_classes=1000,
        sizes=(1281167, 0, 50000),
        source='Get the training and validation images at https://image-net.'
        'org and unpack them there as images/train/SYNSET/ and '
        f'images/val/SYNSET/; put {CLASSNAMES} beside "images".',
    ),
    Caltech101=dict(
        templates=PHOTO,
        folder='caltech-101',
        image_dir='101_ObjectCategories',
        split_file='split_zhou_Caltech101.json',
        num_classes=100,
        sizes=(4128, 1649, 2465),
        source='Download 101_ObjectCategories.tar.gz (part of https://data.'
        'caltech.edu/records/mzrjq-6wc02) and unpack it there; put '
        f'split_zhou_Caltech101.json ({DRIVE}1hyarUivQE36mY6jSomru6Fjd-'
        'JzwcCzN) beside it.',
    ),
    OxfordPets=dict(
        classes=class_names.OXFORD_PETS,
        templates=('a photo of a {}, a type of pet.',),
        folder='oxford_pets',
        image_dir='images',
        split_file='split_zhou_OxfordPets.json',
        num_classes=37,
        sizes=(2944, 736, 3669),
        source=f'Download {VGG}pets/data/images.tar.gz and annotations.tar.gz '
        'and unpack them there; put split_zhou_OxfordPets.json '
        f'({DRIVE}1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs) beside "images".',
    ),
    StanfordCars=dict(
        templates=PHOTO,
        folder='stanford_cars',
        split_file='split_zhou_StanfordCars.json',
        num_classes=196,
        sizes=(6509, 1635, 8041),
        source='Get cars_train.tgz, cars_test.tgz, car_devkit.tgz and '
        'cars_test_annos_withlabels.mat (http://ai.stanford.edu/~jkrause/'
        'cars/car_dataset.html) and unpack them there as "cars_train", '
        '"cars_test" and "devkit"; put split_zhou_StanfordCars.json '
        f'({DRIVE}1ObCFbaAgVu0I-k_Au-gIUcefirdAuizT) beside them.',
    ),
    Flowers102=dict(
        templates=('a photo of a {}, a type of flower.',),
        folder='oxford_flowers',
        image_dir='jpg',
        split_file='split_zhou_OxfordFlowers.json',
        num_classes=102,
        sizes=(4093, 1633, 2463),
        source=f'Download {VGG}flowers/102/102flowers.tgz and '
        'imagelabels.mat and unpack them there; put '
        f'split_zhou_OxfordFlowers.json ({DRIVE}1Pp0sRXzZFZq15zVOzKjKBu4A9i01'
        'nozT) beside "jpg".',
    ),
    Food101=dict(
        templates=('a photo of {}, a type of food.',),
        folder='food-101',
        image_dir='images',
        split_file='split_zhou_Food101.json',
        num_classes=101,
        sizes=(50500, 20200, 30300),
        source='Download food-101.tar.gz (https://data.vision.ee.ethz.ch/cvl/'
        'datasets_extra/food-101/) and unpack it; put split_zhou_Food101.json '
        f'({DRIVE}1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl) beside "images".',
    ),
    FGVCAircraft=dict(
        templates=('a photo of a {}, a type of aircraft.',),
        folder='fgvc_aircraft',
        image_dir='images',
        layout='fgvc',
        num_classes=100,
        sizes=(3334, 3333, 3333),
        source=f'Download {VGG}fgvc-aircraft/archives/'
        'fgvc-aircraft-2013b.tar.gz, unpack it, and rename its folder "data" '
        'to "fgvc_aircraft".',
    ),
    SUN397=dict(
        templates=PHOTO,
        folder='sun397',
        image_dir='SUN397',
        split_file='split_zhou_SUN397.json',
        num_classes=397,
        sizes=(15880, 3970, 19850),
        source='Download SUN397.tar.gz and Partitions.zip (http://vision.'
        'princeton.edu/projects/2010/SUN/) and unpack them there; put '
        f'split_zhou_SUN397.json ({DRIVE}1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq) '
        'beside "SUN397".',
    ),
    DTD=dict(
        classes=class_names.DTD,
        templates=('{} texture.',),
        folder='dtd',
        image_dir='images',
        split_file='split_zhou_DescribableTextures.json',
        num_classes=47,
        sizes=(2820, 1128, 1692),
        source=f'Download {VGG}dtd/download/dtd-r1.0.1.tar.gz and unpack it; '
        f'put split_zhou_DescribableTextures.json ({DRIVE}1u3_QfB467jqHgNXC00'
        'UIzbLZRQCg2S7x) beside "images".',
    ),
    EuroSAT=dict(
        classes=class_names.EUROSAT,
        templates=('a centered satellite photo of {}.',),
        folder='eurosat',
        image_dir='2750',
        split_file='split_zhou_EuroSAT.json',
        num_classes=10,
        sizes=(13500, 5400, 8100),
        source='Download EuroSAT.zip (http://madm.dfki.de/files/sentinel/'
        'EuroSAT.zip) and unpack it there, so that its folder "2750" is in '
        f'"eurosat"; put split_zhou_EuroSAT.json ({DRIVE}1Ip7yaCWFi0eaOFUGga0'
        'lUdVi_DDQth1o) beside "2750".',
    ),
    UCF101=dict(
        templates=('a photo of a person doing {}.',),
        folder='ucf101',
        image_dir='UCF-101-midframes',
        split_file='split_zhou_UCF101.json',
        num_classes=101,
        sizes=(7639, 1898, 3783),
        source=f'Download UCF-101-midframes.zip ({DRIVE}10Jqome3vtUA2keJkNanA'
        'iFpgbyC9Hc2O) and unpack it there; put split_zhou_UCF101.json '
        f'({DRIVE}1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y) beside it.',
    ),
    ImageNetV2=dict(
        templates=PHOTO,
        folder='imagenetv2',
        image_dir='imagenetv2-matched-frequency-format-val',
        layout='imagenetv2',
        num_classes=1000,
        sizes=(0, 0, 10000),
        source='Download imagenetv2-matched-frequency.tar.gz (https://github.'
        f'com/modestyachts/ImageNetV2) and unpack it there; {COPIED}',
    ),
    ImageNetSketch=dict(
        templates=PHOTO,
        folder='imagenet-sketch',
        image_dir='images',
        layout='imagenet_variant',
        num_classes=1000,
        sizes=(0, 0, 50889),
        source='Get it at https://github.com/HaohanWang/ImageNet-Sketch and '
        f'unpack it so that "images" holds the class folders; {COPIED}',
    ),
    ImageNetA=dict(
        templates=PHOTO,
        folder='imagenet-adversarial',
        image_dir='imagenet-a',
        layout='imagenet_variant',
        num_classes=200,
        sizes=(0, 0, 7500),
        source='Get it at https://github.com/hendrycks/natural-adv-examples '
        f'and unpack it there; {COPIED}',
    ),
    ImageNetR=dict(
        templates=PHOTO,
        folder='imagenet-rendition',
        image_dir='imagenet-r',
        layout='imagenet_variant',
        num_classes=200,
        sizes=(0, 0, 30000),
        source=f'Get it at https://github.com/hendrycks/imagenet-r and unpack it there; {COPIED}',
    ),
    # nothing to download
    Digits=dict(
        classes=class_names.DIGITS,
        templates=('a photo of the digit {}.',),
        layout='none',
        num_classes=10,
        sizes=(451, 447, 899),
    ),
)

# Names that the public benchmark's code uses for some of them.
ALIASES = dict(describabletextures='DTD', oxfordflowers='Flowers102')
