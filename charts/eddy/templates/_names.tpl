{{- define "eddy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for the pods' ordinals, and the suffixes below. */}}
{{- define "eddy.fullname" -}}
{{- $name := include "eddy.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "eddy.headless" -}}
{{ include "eddy.fullname" . }}-headless
{{- end }}

{{- define "eddy.selector" -}}
app.kubernetes.io/name: {{ include "eddy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{/* Of the engines' pods alone. */}}
{{- define "eddy.engineSelector" -}}
{{ include "eddy.selector" . }}
app.kubernetes.io/component: engine
{{- end }}

{{- define "eddy.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "eddy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "eddy.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "eddy.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "eddy.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "eddy.workerImage" -}}
{{- with .Values.worker.image -}}
{{- if .repository }}{{ .repository }}:{{ default "latest" .tag }}{{ else }}{{ include "eddy.image" $ }}{{ end }}
{{- end }}
{{- end }}

{{- define "eddy.gatewayUrl" -}}
http://{{ include "eddy.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.service.port }}
{{- end }}

{{/* How many replicas the autoscaler may ask for. */}}
{{- define "eddy.maxReplicas" -}}
{{- min (int .Values.autoscaling.maxReplicas) (int (include "eddy.partitions" .)) -}}
{{- end }}

{{/* As the engine: 4 with dev. */}}
{{- define "eddy.partitions" -}}
{{- if .Values.config.partitions }}{{ .Values.config.partitions }}{{ else if .Values.config.dev }}4{{ else }}64{{ end }}
{{- end }}

{{- define "eddy.isAutoscaled" -}}
{{- if or .Values.autoscaling.hpa.enabled .Values.autoscaling.keda.enabled }}true{{ end }}
{{- end }}

{{/* The port of "kafka-1.example:9092". */}}
{{- define "eddy.brokerPorts" -}}
{{- $ports := list }}
{{- range .Values.kafka.brokers }}{{ $ports = append $ports (splitList ":" . | last) }}{{ end }}
{{- $ports | uniq | join "," }}
{{- end }}

{{/* Of pods: nothing that changes with each version of the chart, which would restart them. */}}
{{- define "eddy.podLabels" -}}
{{ include "eddy.selector" . }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}
