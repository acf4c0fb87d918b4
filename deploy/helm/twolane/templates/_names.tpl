{{- define "twolane.name" -}}
{{- if contains "twolane" .Release.Name }}{{ .Release.Name | trunc 63 | trimSuffix "-" }}
{{- else }}{{ printf "%s-twolane" .Release.Name | trunc 63 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "twolane.secret" -}}
{{- .Values.secret.name | default (include "twolane.name" .) }}
{{- end }}

{{- define "twolane.selector" -}}
app.kubernetes.io/name: twolane
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "twolane.labels" -}}
{{ include "twolane.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}
