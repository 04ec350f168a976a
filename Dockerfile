# The suite on CPUs: docker build -t synththorax . && docker run --rm -v "$PWD/outputs:/synththorax/outputs" synththorax
FROM python:3.11-slim
# make runs the steps below; bubblewrap isolates generators from outside; git records the commit of a run
RUN apt-get update && apt-get install --no-install-recommends --yes bubblewrap git make && rm -rf /var/lib/apt/lists/*
# torch without CUDA: a version with the label +cpu counts as newer than the same one without
ENV PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu PIP_NO_CACHE_DIR=1
WORKDIR /synththorax
COPY . .
RUN make .venv/.installed
CMD ["make", "demo"]
