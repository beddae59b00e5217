# docker build -t signclip .
# A CPU-only image: add --build-arg TORCH_INDEX_URL=<the CPU wheel index that pytorch.org's install page names>
FROM python:3.11-slim

# What MediaPipe's OpenCV loads: OpenGL and GLib. The README names the same packages.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1
WORKDIR /srv/signclip

ARG TORCH_INDEX_URL=""
COPY requirements.txt constraints.txt ./
RUN if [ -n "$TORCH_INDEX_URL" ]; then pip install torch==2.13.0 --index-url "$TORCH_INDEX_URL"; fi \
    && pip install --requirement requirements.txt --constraint constraints.txt

COPY . .
RUN useradd --system --no-create-home signclip && chown -R signclip weights
USER signclip
VOLUME /srv/signclip/weights
EXPOSE 3030
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{os.environ.get(\"SIGNCLIP_PORT\", 3030)}/readyz', timeout=4)"]
CMD ["gunicorn", "app:app"]
