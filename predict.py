"""Tag photos: python predict.py photo.jpg, or holiday/ --csv tags.csv, or --heatmap why.png."""

import sys

from tagger.cli.predict import main

if __name__ == "__main__":
    sys.exit(main())
