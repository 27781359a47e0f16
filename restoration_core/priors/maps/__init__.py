"""What priors are trained on: photographs, or a layer's feature maps of them, read a few at a time."""

from restoration_core.priors.maps.feature_maps import (
    FeatureMaps,
    default_patch_size,
    layer_maps,
    map_shape,
    map_short_side,
)
from restoration_core.priors.maps.photographs import Photographs, load_folder, load_samples
from restoration_core.priors.maps.source import (
    BUNDLED_PICTURES,
    SAMPLES,
    LayerMaps,
    MapSource,
    check_contrast,
    check_source,
    in_batches,
)

__all__ = [
    "BUNDLED_PICTURES",
    "SAMPLES",
    "FeatureMaps",
    "LayerMaps",
    "MapSource",
    "Photographs",
    "check_contrast",
    "check_source",
    "default_patch_size",
    "in_batches",
    "layer_maps",
    "load_folder",
    "load_samples",
    "map_shape",
    "map_short_side",
]
