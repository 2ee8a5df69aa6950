{{- define "sellio-cart.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* What tells this release from others. Selectors add a component, or they would catch the Job's pods. */ -}}
{{- define "sellio-cart.instanceLabels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "sellio-cart.selectorLabels" -}}
{{ include "sellio-cart.instanceLabels" . }}
app.kubernetes.io/component: server
{{- end -}}

{{- define "sellio-cart.labels" -}}
{{ include "sellio-cart.instanceLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "sellio-cart.databaseSecretName" -}}
{{- printf "%s-database" (include "sellio-cart.fullname" .) -}}
{{- end -}}

{{- /* Where DATABASE_URL is read from: the one place that says so, for the server and the migrations. */ -}}
{{- define "sellio-cart.databaseKeyRef" -}}
{{- if .Values.database.url -}}
{{- /* Not in values.schema.json, whose errors print the value and with it the password. */ -}}
{{- if not (regexMatch "^postgres(ql)?([+]asyncpg)?://" .Values.database.url) -}}
{{- fail "database.url must start with postgresql://" -}}
{{- end -}}
name: {{ include "sellio-cart.databaseSecretName" . }}
key: DATABASE_URL
{{- else if .Values.database.existingSecret.name -}}
name: {{ .Values.database.existingSecret.name }}
key: {{ .Values.database.existingSecret.key }}
{{- else -}}
{{- fail "sellio-cart needs a database: set database.url or database.existingSecret.name" -}}
{{- end -}}
{{- end -}}

{{- /* What the pods of the server and of the migration have in common. */ -}}
{{- define "sellio-cart.podSpec" -}}
serviceAccountName: {{ include "sellio-cart.fullname" . }}
automountServiceAccountToken: false
# A Service called "http" in the namespace would otherwise set HTTP_PORT.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  # The image's user is a number, so the kubelet can check this.
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What every container of sellio-cart has, whichever subcommand it runs. */ -}}
{{- define "sellio-cart.container" -}}
image: {{ printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ include "sellio-cart.fullname" . }}
env:
  - name: DATABASE_URL
    valueFrom:
      secretKeyRef:
        {{- include "sellio-cart.databaseKeyRef" . | nindent 8 }}
  - name: GOMEMLIMIT
    value: {{ .Values.goMemLimit }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}
