# Headless by default; add -it and `demo` for the screen.
FROM python:3.11-slim
WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY dfmon ./dfmon
RUN pip install --no-cache-dir ".[redis,server]"
USER nobody
ENV HOME=/tmp
ENTRYPOINT ["dfmon"]
CMD ["--publish"]
