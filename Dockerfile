# dfmon without a screen, publishing over REST on port 8000 to whoever has the token, and to Redis if one is named:
#   docker run -p 8000:8000 -v dfmon:/var/lib/dfmon -e DFMON_PUBLISH_REST_TOKEN=... -e DFMON_PUBLISH_REDIS=redis://... dfmon
# The screen: docker run -it --rm dfmon demo
FROM python:3.13.9-slim-bookworm AS build
WORKDIR /src
COPY requirements.lock ./
RUN python -m venv /opt/dfmon
RUN /opt/dfmon/bin/pip install --no-cache-dir --require-hashes --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md LICENSE config.toml ./
COPY deploy ./deploy
COPY dfmon ./dfmon
RUN /opt/dfmon/bin/pip install --no-cache-dir --no-deps .

FROM python:3.13.9-slim-bookworm
COPY --from=build /opt/dfmon /opt/dfmon
RUN useradd --system --uid 10001 --home-dir /var/lib/dfmon --create-home dfmon
USER dfmon
ENV PATH=/opt/dfmon/bin:$PATH XDG_STATE_HOME=/var/lib/dfmon XDG_CONFIG_HOME=/etc OPENBLAS_NUM_THREADS=1 \
    DFMON_PUBLISH_REST=0.0.0.0:8000
VOLUME /var/lib/dfmon
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=3s --start-period=20s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["dfmon"]
CMD ["--publish"]
