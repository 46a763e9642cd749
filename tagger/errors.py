"""The library's own errors: each says what came and what would work."""


class TaggerError(Exception):
    """Anything this library refuses on purpose. The message is one readable sentence."""


class ImageError(TaggerError):
    """A photo that cannot be read: missing, broken, too large, or not a picture we open."""


class DatasetError(TaggerError):
    """A collection nobody could learn from: no folder, too few labels, too few photos."""


class ModelError(TaggerError):
    """A model that cannot be found, read or trusted."""


class OptionError(TaggerError):
    """An option outside what it may be."""


class WeightsUnavailableError(TaggerError):
    """Pretrained weights are neither cached here nor downloadable."""
