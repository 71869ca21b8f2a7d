# openvista serve in a container. Not built by the tests: a machine without Docker checks the settings' names only.
#
#   docker build -t openvista .                                       CPU
#   docker build -t openvista:cuda --build-arg VARIANT=cuda .         CUDA: brings NVIDIA's libraries, needs the driver
#   docker run --gpus all -e OPENVISTA_SERVE_DEVICES=cuda:0 ...       and NVIDIA's container toolkit on the host
FROM python:3.12-slim

ARG VARIANT=cpu
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1

WORKDIR /opt/openvista
COPY constraints.txt pyproject.toml README.md LICENSE NOTICE ./
# torch first and alone, so that nothing else can ask for another build of it
RUN if [ "$VARIANT" = cpu ]; then index="--index-url https://download.pytorch.org/whl/cpu"; fi \
    && pip install -c constraints.txt $index torch
COPY src ./src
RUN pip install -c constraints.txt '.[serve,formats,train]'

RUN useradd --create-home --uid 10001 openvista \
    && mkdir -p /state/tmp /data && chown -R openvista /state /data && chmod 700 /state
USER openvista
WORKDIR /home/openvista

# beyond the container's own loopback a token is needed: give OPENVISTA_SERVE_TOKEN, or read the one in the log
ENV OPENVISTA_HOME=/state/models \
    TMPDIR=/state/tmp \
    OPENVISTA_SERVE_HOST=0.0.0.0 \
    OPENVISTA_SERVE_PORT=8000 \
    OPENVISTA_SERVE_STATE=/state/serve
VOLUME /state
EXPOSE 8000

HEALTHCHECK --interval=15s --timeout=5s --start-period=120s \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/v1/health/ready', timeout=4)"]
CMD ["openvista", "serve"]
