{{- /* The base job template of a pool, as prefect-kubernetes 0.8 takes it. What is in double braces, Prefect fills in. */}}
{{- define "hubwright.template" -}}
variables:
  type: object
  properties:
    name: {type: string, title: Name, description: Name of the Job.}
    image: {type: string, title: Image, description: "The flow image, by digest.", default: {{ .root.Values.image | quote }}}
    command: {type: string, title: Command, description: What runs the flow; leave it as it is.}
    env:
      type: object
      title: Environment variables
      description: For this run alone. They are stored in clear.
      additionalProperties: {type: string}
    labels: {type: object, title: Labels, additionalProperties: {type: string}}
    annotations: {type: object, title: Annotations, additionalProperties: {type: string}}
    finished_job_ttl:
      type: integer
      title: Seconds that an ended Job stays
      description: For so long its pod can be looked at.
      default: 3600
job_configuration:
  name: {{ "{{ name }}" | quote }}
  namespace: {{ .root.Release.Namespace }}
  command: {{ "{{ command }}" | quote }}
  env: {{ "{{ env }}" | quote }}
  labels: {{ "{{ labels }}" | quote }}
  annotations: {{ "{{ annotations }}" | quote }}
  job_manifest:
    apiVersion: batch/v1
    kind: Job
    metadata:
      generateName: {{ "{{ name }}-" | quote }}
      namespace: {{ .root.Release.Namespace }}
      # The worker of a pool looks after the Jobs with this label, and leaves the other pool's alone.
      labels: {hubwright.io/pool: {{ .pool }}}
    spec:
      # A pod that is evicted is not tried again by Kubernetes: with 0, Prefect has its run started anew.
      backoffLimit: 0
      ttlSecondsAfterFinished: {{ "{{ finished_job_ttl }}" | quote }}
      template:
        metadata:
          labels: {hubwright.io/pool: {{ .pool }}}
        spec:
          {{- include "hubwright.flow-pod" . | nindent 10 }}
{{- end }}

{{- define "hubwright.flow-pod" -}}
{{- $pool := index .root.Values.pools .pool }}
parallelism: 1
completions: 1
restartPolicy: Never
serviceAccountName: flows
# The token is the flow's, and not that of who is beside it: see volume token.
automountServiceAccountToken: false
# A flow that is asked to end has Helm to stop first, so that the next run need not.
terminationGracePeriodSeconds: 150
{{- include "hubwright.pod" .root | nindent 0 }}
initContainers:
  {{- if eq .pool "images" }}
  - {{- include "hubwright.podman" .root | nindent 4 }}
  {{- end }}
  {{- if .root.Values.browser.image }}
  - {{- include "hubwright.browser" .root | nindent 4 }}
  {{- end }}
containers:
  - name: prefect-job
    image: {{ "{{ image }}" | quote }}
    args: {{ "{{ command }}" | quote }}
    {{- include "hubwright.named-env-from" .root | nindent 4 }}
    env:
      {{- include "hubwright.client-env" .root | nindent 6 }}
      {{- include "hubwright.named-env" .root | nindent 6 }}
      - {name: PREFECT_LOCAL_STORAGE_PATH, value: /var/lib/hubwright/results}
      {{- if eq .pool "images" }}
      - {name: DOCKER_HOST, value: "unix:///run/podman/podman.sock"}
      {{- if $pool.cache }}
      - {name: XDG_CACHE_HOME, value: /var/cache}
      {{- end }}
      {{- end }}
    securityContext: {{ include "hubwright.container" .root | fromYaml | toJson }}
    resources: {{ toJson $pool.resources }}
    volumeMounts:
      {{- include "hubwright.named-mounts" .root | nindent 6 }}
      - {name: token, mountPath: /var/run/secrets/kubernetes.io/serviceaccount, readOnly: true}
      - {name: results, mountPath: /var/lib/hubwright/results}
      {{- if eq .pool "images" }}
      - {name: podman, mountPath: /run/podman}
      {{- if $pool.cache }}
      - {name: caches, mountPath: /var/cache}
      - {name: cache, mountPath: /var/cache/hubwright}
      {{- end }}
      {{- end }}
volumes:
  {{- include "hubwright.named-volumes" .root | nindent 2 }}
  - name: token
    projected:
      defaultMode: 0444
      sources: # as Kubernetes itself mounts it
        - serviceAccountToken: {path: token, expirationSeconds: 3607}
        - configMap: {name: kube-root-ca.crt, items: [{key: ca.crt, path: ca.crt}]}
        - downwardAPI: {items: [{path: namespace, fieldRef: {apiVersion: v1, fieldPath: metadata.namespace}}]}
  - name: results
    persistentVolumeClaim: {claimName: {{ .root.Release.Name }}-results}
  {{- if eq .pool "images" }}
  - name: podman
    emptyDir: {medium: Memory, sizeLimit: 1Mi}
  - name: containers
    emptyDir: {sizeLimit: {{ $pool.podman.size | quote }}}
  - name: podman-work
    emptyDir: {}
  {{- with $pool.cache }}
  - name: caches
    emptyDir: {}
  - name: cache
    {{- if .claim }}
    persistentVolumeClaim: {claimName: {{ .claim }}}
    {{- else }}
    hostPath: {path: {{ .hostPath | quote }}, type: Directory}
    {{- end }}
  {{- end }}
  {{- end }}
  {{- if .root.Values.browser.image }}
  - name: browser
    emptyDir: {}
  {{- end }}
{{- end }}
