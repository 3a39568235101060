{{/* Helpers of this chart and its subcharts. Where one takes a list, the first item is the context. */}}

{{/* The name of a component's objects: (context, component). */}}
{{- define "sluice.name" -}}
{{ printf "%s-%s" (index . 0).Release.Name (index . 1) | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* What selects a component's pods: (context, component). */}}
{{- define "sluice.selector" -}}
app.kubernetes.io/name: sluice-{{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end }}

{{/* The labels of every object: (context, component). */}}
{{- define "sluice.labels" -}}
{{- $context := index . 0 -}}
{{ include "sluice.selector" . }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: sluice
app.kubernetes.io/version: {{ $context.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $context.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $context.Chart.Name $context.Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The image of the subchart that asks. */}}
{{- define "sluice.image" -}}
{{- include "sluice.imageOf" (list . .Values.image.repository) -}}
{{- end }}

{{/* An image of ours: (context, repository). */}}
{{- define "sluice.imageOf" -}}
{{- $context := index . 0 -}}
{{- with $context.Values.global.image -}}
{{ with .registry }}{{ . }}/{{ end }}{{ index $ 1 }}:{{ .tag | default $context.Chart.AppVersion }}
{{- end }}
{{- end }}

{{/* Anything if an optional object is wanted: (context, Auto | Always | Never, group/version/Kind). */}}
{{- define "sluice.wanted" -}}
{{- $choice := index . 1 -}}
{{- if or (eq $choice "Always") (and (eq $choice "Auto") ((index . 0).Capabilities.APIVersions.Has (index . 2))) -}}
wanted
{{- end }}
{{- end }}

{{/* The restricted Pod Security Standard, for a pod. */}}
{{- define "sluice.podSecurityContext" -}}
runAsNonRoot: true
{{- with .Values.runAsUser }}
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
{{- end }}
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* The restricted Pod Security Standard, for a container. */}}
{{- define "sluice.securityContext" -}}
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
readOnlyRootFilesystem: true
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* Where pods may run, from the values of the subchart that asks. */}}
{{- define "sluice.placement" -}}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end }}

{{/* The namespace that an address inside the cluster names, such as monitoring in http://prometheus.monitoring.svc:9090. */}}
{{- define "sluice.namespaceOf" -}}
{{- $host := (urlParse .).hostname -}}
{{- if regexMatch "^[a-z0-9-]+[.][a-z0-9-]+[.]svc([.]|$)" $host -}}
{{ index (splitList "." $host) 1 }}
{{- end }}
{{- end }}

{{/*
An egress rule to a URL. Inside the cluster it names the namespace only, for the pod behind a Service may listen on
another port than the Service; outside it names the port only, for a policy knows no host names.
*/}}
{{- define "sluice.egressTo" -}}
{{- $url := urlParse . -}}
{{- if include "sluice.namespaceOf" . -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ include "sluice.namespaceOf" . }}
{{- else if $url.hostname -}}
- ports:
    - protocol: TCP
      port: {{ regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary 80 443 (eq $url.scheme "http")) }}
{{- end }}
{{- end }}

{{/* Who may read metrics, as NetworkPolicy peers. */}}
{{- define "sluice.metricsFrom" -}}
{{- if .Values.global.networkPolicy.metricsFrom -}}
{{ toYaml .Values.global.networkPolicy.metricsFrom }}
{{- else if include "sluice.namespaceOf" .Values.global.prometheus.url -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ include "sluice.namespaceOf" .Values.global.prometheus.url }}
{{- end }}
{{- end }}

{{/* The guards of policies/guards, as YAML documents; nothing where they are switched off. */}}
{{- define "sluice.guards" -}}
{{- if .Values.global.governance.guards.enabled -}}
{{- range $path, $_ := .Files.Glob "policies/guards/*.yaml" }}
---
# {{ $path }}
{{ tpl ($.Files.Get $path) $ | trim | trimPrefix "---" | trim }}
{{- end }}
{{- end }}
{{- end }}
