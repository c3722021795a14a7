{{- /* Labels of what belongs to a component; selectors are the same, so nothing may ever be added. */}}
{{- define "hubwright.labels" -}}
app.kubernetes.io/name: hubwright
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "hubwright.pull-secrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* What every pod of the flow image has in common: user 1000, and nothing that it need not have. */}}
{{- define "hubwright.pod" -}}
{{- include "hubwright.pull-secrets" . }}
# Else the address of Service prefect would be in PREFECT_PORT, which Prefect takes for a setting.
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: 1000
  runAsGroup: 1000
  fsGroup: 1000
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "hubwright.container" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- /* How to reach Prefect: for whoever asks its API. */}}
{{- define "hubwright.client-env" -}}
- {name: HOME, value: /tmp}
- {name: PREFECT_HOME, value: /tmp/prefect}
- {name: PREFECT_API_URL, value: "http://prefect.{{ .Release.Namespace }}.svc:4200/api"}
{{- with .Values.url }}
- {name: PREFECT_UI_URL, value: {{ . | quote }}} # in links
{{- end }}
# A server that is busy, or loses its database for a moment, answers 500: that is no reason to crash a run.
- {name: PREFECT_CLIENT_RETRY_EXTRA_CODES, value: "500"}
- name: PREFECT_API_AUTH_STRING
  valueFrom: {secretKeyRef: {name: {{ .Values.auth.secret }}, key: {{ .Values.auth.key | quote }}}}
{{- end }}

{{- /* What profiles name: variables, and files of Secrets and ConfigMaps. */}}
{{- define "hubwright.named-env" -}}
{{- range $name, $value := .Values.env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
{{- end }}

{{- define "hubwright.named-env-from" -}}
{{- with .Values.secretEnv }}
envFrom:
  {{- range . }}
  - secretRef: {name: {{ . }}}
  {{- end }}
{{- end }}
{{- end }}

{{- define "hubwright.named-mounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: profiles, mountPath: /opt/hubwright/config/profiles/installed, readOnly: true}
{{- range .Values.mounts }}
- {name: {{ .name }}, mountPath: {{ .path | quote }}, readOnly: true}
{{- end }}
{{- end }}

{{- define "hubwright.named-volumes" -}}
- name: tmp
  emptyDir: {}
- name: profiles
  configMap: {name: {{ .Release.Name }}-profiles}
{{- range .Values.mounts }}
- name: {{ .name }}
  {{- if .secret }}
  secret: {secretName: {{ .secret }}, defaultMode: 0440}
  {{- else }}
  configMap: {name: {{ .configMap }}}
  {{- end }}
{{- end }}
{{- end }}

{{- /* Certificates are for sidecars too; secrets are not. */}}
{{- define "hubwright.certificate-mounts" -}}
{{- range .Values.mounts }}
{{- if .configMap }}
- {name: {{ .name }}, mountPath: {{ .path | quote }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- /* The file that register and receiver read. */}}
{{- define "hubwright.installation" -}}
{{- $profiles := list }}
{{- range .Values.hubs }}{{ $profiles = append $profiles .profile }}{{ end }}
{{- $templates := dict }}
{{- range list "hubs" "images" }}
{{- $_ := set $templates . (include "hubwright.template" (dict "root" $ "pool" .) | fromYaml) }}
{{- end }}
{{- $limits := dict "hubs" .Values.pools.hubs.limit "images" .Values.pools.images.limit }}
{{- dict "image" .Values.image "hubs" $profiles "limits" $limits "notify" .Values.notify "url" .Values.url "pools" $templates | toYaml }}
{{- end }}

{{- /* Another one means other hubs, profiles or pools: who reads them once starts anew. */}}
{{- define "hubwright.installation-mark" -}}
{{- printf "%s %s" (include "hubwright.installation" .) (toJson .Values.profiles) | sha256sum }}
{{- end }}
