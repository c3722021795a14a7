{{/* Parts of a pod that hub and proxy have in common. */}}

{{/* Name of the service account that the hub runs as. */}}
{{- define "jupyterhub.hubAccount" -}}
{{- $account := .Values.hub.serviceAccount -}}
{{- $account.name | default (ternary "hub" "default" $account.create) -}}
{{- end }}

{{/* Where a core pod may run, from (list $ VALUES) with the component's nodeSelector and tolerations. */}}
{{- define "jupyterhub.placement" -}}
{{- $core := (first .).Values.scheduling.corePods -}}
{{- $own := last . -}}
{{- $purpose := dict "key" "hub.jupyter.org/node-purpose" "operator" "In" "values" (list "core") -}}
{{- $term := dict "matchExpressions" (list $purpose) -}}
{{- $spec := dict -}}
{{- with $own.nodeSelector }}{{ $_ := set $spec "nodeSelector" . }}{{ end -}}
{{- with concat $core.tolerations $own.tolerations }}{{ $_ := set $spec "tolerations" . }}{{ end -}}
{{- if eq $core.nodeAffinity.matchNodePurpose "require" -}}
{{- $must := dict "requiredDuringSchedulingIgnoredDuringExecution" (dict "nodeSelectorTerms" (list $term)) -}}
{{- $_ := set $spec "affinity" (dict "nodeAffinity" $must) -}}
{{- else if eq $core.nodeAffinity.matchNodePurpose "prefer" -}}
{{- $weighed := list (dict "weight" 100 "preference" $term) -}}
{{- $may := dict "preferredDuringSchedulingIgnoredDuringExecution" $weighed -}}
{{- $_ := set $spec "affinity" (dict "nodeAffinity" $may) -}}
{{- end -}}
{{- if $spec }}{{ toYaml $spec }}{{ end -}}
{{- end }}

{{/* Credentials for pulling, from (list $ IMAGE): the image's own, everybody's, and the one that the chart makes. */}}
{{- define "jupyterhub.pullSecrets" -}}
{{- $values := (first .).Values -}}
{{- $secrets := concat (last .).pullSecrets $values.imagePullSecrets -}}
{{- if and $values.imagePullSecret.create $values.imagePullSecret.automaticReferenceInjection -}}
{{- $secrets = append $secrets "image-pull-secret" -}}
{{- end -}}
{{- if $secrets }}
imagePullSecrets:
{{- range uniq $secrets }}
  - {{ if kindIs "string" . }}name: {{ . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Environment: a list as it is; a map of name to text, or of name to the rest of an entry. */}}
{{- define "jupyterhub.env" -}}
{{- if kindIs "slice" . }}
{{- toYaml . }}
{{- else }}
{{- $entries := list -}}
{{- range $name, $value := . -}}
{{- if kindIs "map" $value -}}
{{- $entries = append $entries (merge (dict) $value (dict "name" $name)) -}}
{{- else if kindIs "string" $value -}}
{{- $entries = append $entries (dict "name" $name "value" $value) -}}
{{- else -}}
{{- fail (printf "extraEnv.%s must be text or a map, and is %s" $name (kindOf $value)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $entries }}
{{- end }}
{{- end }}

{{/* Both probes of a container, from (list VALUES HTTPGET). */}}
{{- define "jupyterhub.probes" -}}
{{- $probes := dict -}}
{{- $get := last . -}}
{{- range $name, $probe := pick (first .) "livenessProbe" "readinessProbe" -}}
{{- if $probe.enabled -}}
{{- $_ := set $probes $name (merge (dict "httpGet" $get) (omit $probe "enabled")) -}}
{{- end -}}
{{- end -}}
{{- if $probes }}{{ toYaml $probes }}{{ end -}}
{{- end }}

{{/* Items of a Secret volume, one for each of extraFiles. */}}
{{- define "jupyterhub.fileItems" -}}
{{- range $key, $file := . }}
- {{ merge (dict "key" $key "path" $key) (pick $file "mode") | toJson }}
{{- end }}
{{- end }}

{{/* What extraFiles put into a Secret's data. Which of the three forms is given, the schema has checked. */}}
{{- define "jupyterhub.fileData" -}}
{{- range $key, $file := . }}
{{- $text := $file.stringData | default "" }}
{{- with $file.data }}
{{- if regexMatch "[.]ya?ml$" $file.mountPath }}{{ $text = toYaml . }}
{{- else if hasSuffix ".json" $file.mountPath }}{{ $text = toJson . }}
{{- else if hasSuffix ".toml" $file.mountPath }}{{ $text = toToml . }}
{{- else }}{{ fail (printf "extraFiles.%s: data needs a mountPath in .yaml, .yml, .json or .toml" $key) }}
{{- end }}
{{- end }}
{{ $key | quote }}: {{ $file.binaryData | default (b64enc $text) | nospace | quote }}
{{- end }}
{{- end }}
