"""StanfordCars: 196 makes, models and years of cars.

Files, under data/: stanford_cars/cars_{train,test}/ and split_zhou_StanfordCars.json.
"""

_base_ = ['../few_shot.py']

dataset = dict(name='StanfordCars', data_root='data')
