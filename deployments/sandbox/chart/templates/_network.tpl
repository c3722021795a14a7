{{/* Parts of Services and of the three NetworkPolicies. */}}

{{/* Something where the proxy itself speaks TLS, nothing where it does not. */}}
{{- define "jupyterhub.ownTls" -}}
{{- if and .Values.proxy.https.enabled (eq .Values.proxy.https.type "secret") }}yes{{ end -}}
{{- end }}

{{/* The address families of a Service, from its part of the values. */}}
{{- define "jupyterhub.ipFamily" -}}
{{- with .ipFamilyPolicy }}
ipFamilyPolicy: {{ . }}
{{- end }}
{{- with .ipFamilies }}
ipFamilies: {{ toJson . }}
{{- end }}
{{- end }}

{{/* Ports open to everybody, ports open to labelled pods, and what the values add: from
     (list POLICY GATES), a gate being a dict of label and ports. */}}
{{- define "jupyterhub.ingressRules" -}}
{{- $policy := first . -}}
{{- $rules := list -}}
{{- with $policy.allowedIngressPorts -}}
{{- $open := list -}}
{{- range . }}{{ $open = append $open (dict "port" .) }}{{ end -}}
{{- $rules = append $rules (dict "ports" $open) -}}
{{- end -}}
{{- range last . -}}
{{- $labelled := dict "matchLabels" (dict (printf "hub.jupyter.org/network-access-%s" .label) "true") -}}
{{- $from := list (dict "podSelector" $labelled) -}}
{{- if eq $policy.interNamespaceAccessLabels "accept" -}}
{{- $anywhere := dict "podSelector" $labelled "namespaceSelector" (dict "matchLabels" dict) -}}
{{- $from = list $anywhere (dict "namespaceSelector" $labelled) -}}
{{- end -}}
{{- $ports := list -}}
{{- range .ports }}{{ $ports = append $ports (dict "port" .) }}{{ end -}}
{{- $rules = append $rules (dict "ports" $ports "from" $from) -}}
{{- end -}}
{{- toYaml (concat $rules $policy.ingress) -}}
{{- end }}

{{/* A rule that lets pods reach a component, from (list $ COMPONENT PORT…). */}}
{{- define "jupyterhub.reach" -}}
- to:
    - podSelector:
        matchLabels:
          {{- include "jupyterhub.selector" (list (first .) (index . 1)) | nindent 10 }}
  ports:
    {{- range slice . 2 }}
    - port: {{ . }}
    {{- end }}
{{- end }}

{{/* What a policy's egressAllowRules and egress allow, from (list $ POLICY). Private is what RFC 1918 calls so. */}}
{{- define "jupyterhub.egressRules" -}}
{{- $allow := (last .).egressAllowRules -}}
{{- $metadata := printf "%s/32" (first .).Values.singleuser.cloudMetadata.ip -}}
{{- $private := list "10.0.0.0/8" "172.16.0.0/12" "192.168.0.0/16" -}}
{{- $blocks := list -}}
{{- range $private }}{{ $blocks = append $blocks (dict "ipBlock" (dict "cidr" .)) }}{{ end -}}
{{- $metadataBlock := dict "ipBlock" (dict "cidr" $metadata) -}}
{{- $kubeSystem := dict "matchLabels" (dict "kubernetes.io/metadata.name" "kube-system") -}}
{{- $dns := list -}}
{{- if $allow.dnsPortsCloudMetadataServer }}{{ $dns = append $dns $metadataBlock }}{{ end -}}
{{- if $allow.dnsPortsKubeSystemNamespace }}{{ $dns = append $dns (dict "namespaceSelector" $kubeSystem) }}{{ end -}}
{{- if $allow.dnsPortsPrivateIPs }}{{ $dns = concat $dns $blocks }}{{ end -}}
{{- $rules := list -}}
{{- if $dns -}}
{{- $ports := list (dict "port" 53 "protocol" "UDP") (dict "port" 53 "protocol" "TCP") -}}
{{- $rules = append $rules (dict "ports" $ports "to" $dns) -}}
{{- end -}}
{{- if $allow.nonPrivateIPs -}}
{{- $world := dict "cidr" "0.0.0.0/0" "except" (append $private $metadata) -}}
{{- $rules = append $rules (dict "to" (list (dict "ipBlock" $world))) -}}
{{- end -}}
{{- if $allow.privateIPs }}{{ $rules = append $rules (dict "to" $blocks) }}{{ end -}}
{{- if $allow.cloudMetadataServer }}{{ $rules = append $rules (dict "to" (list $metadataBlock)) }}{{ end -}}
{{- with concat $rules (last .).egress }}{{ toYaml . }}{{ end -}}
{{- end }}
