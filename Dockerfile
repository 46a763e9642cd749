# The app, the service and training in one image; the first word of its command says which:
#
#     docker build -t image-tagger .
#     docker run --init -p 127.0.0.1:8501:8501 -v library:/library image-tagger app
#
# Amazon SageMaker runs containers as root: for it, build with --target sagemaker.

FROM python:3.12-slim-bookworm AS packages
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /app
COPY pyproject.toml requirements.txt ./
# TensorFlow for CPUs alone takes 0.6 GB less. On ARM the package `tensorflow` is that one.
# For a GPU: --build-arg TENSORFLOW='tensorflow[and-cuda]'
ARG TENSORFLOW=
# An empty package is enough here, since the project is installed as editable, from /app.
# TensorFlow's C++ headers are only needed to compile against it.
RUN python -m venv /venv \
 && mkdir tagger && touch README.md tagger/__init__.py \
 && case "$(uname -m)" in x86_64) cpu=tensorflow-cpu ;; *) cpu=tensorflow ;; esac \
 && sed -i -e '/^-e/d' -e "s/^tensorflow>/${TENSORFLOW:-$cpu}>/" requirements.txt \
 && /venv/bin/pip install -r requirements.txt -e '.[postgresql]' \
 && /venv/bin/pip uninstall -y pip \
 && rm -r /venv/lib/python3.12/site-packages/tensorflow/include

FROM python:3.12-slim-bookworm AS programs
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    HOME=/tmp \
    TAGGER_HOME=/library \
    TAGGER_CACHE=/cache \
    KERAS_HOME=/cache/keras \
    MPLCONFIGDIR=/cache/matplotlib
WORKDIR /app
COPY --from=packages /venv /venv
COPY train.py predict.py ./
COPY deploy/entry deploy/health.py deploy/
COPY dataset/README.md dataset/
COPY model/cifar10.h5 model/cifar10.json model/everyday.h5 model/everyday.json \
     model/pets.h5 model/pets.json model/
COPY frontend frontend
COPY tagger tagger
# These folders are mount points; a new volume takes the owner of its mount point.
RUN python -m compileall -q tagger frontend \
 && groupadd --gid 10001 tagger \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin tagger \
 && install -d -o tagger -g tagger /library /cache model runs
EXPOSE 8501 8000 8080
STOPSIGNAL SIGTERM
ENTRYPOINT ["/app/deploy/entry"]
CMD ["app"]

FROM programs AS sagemaker
HEALTHCHECK NONE

FROM programs AS tagger
USER 10001:10001
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/health.py"]
