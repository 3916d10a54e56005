# One recipe, two images: `lambda` for AWS Lambda (the default), `server` for anywhere else.
# All work happens on the machine's own architecture: the images themselves are only copied together, so that another
# architecture needs no emulation. Packages are locked; give the base images by digest to lock them too.
ARG NODE_IMAGE=node:24-slim
ARG LAMBDA_IMAGE=public.ecr.aws/lambda/nodejs:24
# The same again, where another architecture's image is not to be had under the same name.
ARG NODE_BASE=${NODE_IMAGE}
ARG LAMBDA_BASE=${LAMBDA_IMAGE}

FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS build
WORKDIR /build
# .npmrc, too: no package may run code here.
COPY package.json package-lock.json .npmrc ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json ./
COPY src src
COPY models models
COPY deploy/image deploy/image
ARG TARGETARCH
RUN npm run bundle -- /bundle "$TARGETARCH" && cp -r models /bundle/

# What V8 compiles of the code is kept with it: half of a cold start. It is of use only to the same Node on the same
# architecture, so an image for another one starts without.
FROM --platform=$BUILDPLATFORM ${NODE_IMAGE} AS warm-server
ARG BUILDARCH TARGETARCH
COPY --from=build /bundle /app
RUN install -d -m 700 /volumes/data && if [ "$BUILDARCH" = "$TARGETARCH" ]; then node /app/dist/warm.mjs; fi

FROM --platform=$BUILDPLATFORM ${LAMBDA_IMAGE} AS warm-lambda
ARG BUILDARCH TARGETARCH
COPY --from=build /bundle /app
# Without what keeps records in a file, which Lambda does not keep.
RUN if [ "$BUILDARCH" = "$TARGETARCH" ]; then node /app/dist/warm.mjs; fi && \
  rm -r /app/node_modules/libsql /app/node_modules/@libsql

FROM ${NODE_BASE} AS server
WORKDIR /app
COPY --from=warm-server /app ./
# A volume that is made for it belongs to whom it does.
COPY --from=warm-server --chown=1000:1000 /volumes /
# glibc gives memory back that opening the models took: 20 MB. It would keep it for the next time, which doesn't come.
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data MALLOC_TRIM_THRESHOLD_=131072
# libsql has a thread for each core otherwise, of which it uses none for a file; containers may have few.
ENV TOKIO_WORKER_THREADS=1
EXPOSE 3000
# The image's user node, by number: Kubernetes can't tell from a name that it is not root.
USER 1000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "require('node:http').get({ port: process.env.PORT, path: '/health/ready' }, (answer) => process.exit(answer.statusCode === 200 ? 0 : 1)).on('error', () => process.exit(1))"]
# node itself, not npm: it is process 1, and the one that is told to stop.
CMD ["node", "dist/server.js"]

FROM ${LAMBDA_BASE} AS lambda
COPY --from=warm-lambda /app ${LAMBDA_TASK_ROOT}/
ENV MALLOC_TRIM_THRESHOLD_=131072
CMD ["dist/lambda.handler"]
