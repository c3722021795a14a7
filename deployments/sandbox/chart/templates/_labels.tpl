{{/* Three sets of labels, each called with (list $ COMPONENT). The names are the published chart's: NetworkPolicies,
     the hub's own pods and our checks select by the older ones, everything else by app.kubernetes.io. */}}

{{/* What selectors look for: never changes within the life of a Deployment. */}}
{{- define "jupyterhub.selector" -}}
{{- $root := first . -}}
component: {{ last . }}
app: {{ $root.Chart.Name }}
release: {{ $root.Release.Name }}
{{- end }}

{{/* What a pod carries. Without the chart's version, so that a new version alone restarts nothing. */}}
{{- define "jupyterhub.podLabels" -}}
{{- $root := first . -}}
{{ include "jupyterhub.selector" . }}
app.kubernetes.io/component: {{ last . }}
app.kubernetes.io/name: {{ $root.Chart.Name }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
{{- end }}

{{/* What every other object carries. */}}
{{- define "jupyterhub.labels" -}}
{{- $root := first . -}}
{{- $chart := printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" -}}
{{ include "jupyterhub.podLabels" . }}
chart: {{ $chart }}
heritage: {{ $root.Release.Service }}
helm.sh/chart: {{ $chart }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end }}
