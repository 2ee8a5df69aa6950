{{- define "sellio-cart.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- /* Labels that identify the release. Selectors add a component, so that they do not match the Job's pods. */ -}}
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

{{- /* Labels of every pod; each template adds the component. */ -}}
{{- define "sellio-cart.podLabels" -}}
{{ include "sellio-cart.labels" . }}
{{- with .Values.podLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sellio-cart.serviceAccountName" -}}
{{- $default := ternary (include "sellio-cart.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $default -}}
{{- end -}}

{{- /* The part of the image's reference after the repository. */ -}}
{{- define "sellio-cart.imageVersion" -}}
{{- with .Values.image.digest -}}
@{{ . }}
{{- else -}}
:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "sellio-cart.databaseSecretName" -}}
{{- printf "%s-database" (include "sellio-cart.fullname" .) -}}
{{- end -}}

{{- /* The Secret key that holds DATABASE_URL. */ -}}
{{- define "sellio-cart.databaseKeyRef" -}}
{{- if .Values.database.url -}}
{{- /* Not checked in values.schema.json: its errors would print the password. */ -}}
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

{{- /* The Secret key that holds DATABASE_URL for migrations. */ -}}
{{- define "sellio-cart.migrationKeyRef" -}}
{{- with .Values.database.migrationSecret -}}
{{- if .name -}}
name: {{ .name }}
key: {{ .key }}
{{- else -}}
{{- include "sellio-cart.databaseKeyRef" $ -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Sources of the files in /etc/sellio-cart. */ -}}
{{- define "sellio-cart.secretFiles" -}}
{{- if .Values.auth.tokensSecret.name }}
- secret:
    name: {{ .Values.auth.tokensSecret.name }}
    items:
      - key: {{ .Values.auth.tokensSecret.key }}
        path: tokens
{{- end }}
{{- with .Values.tls.secretName }}
- secret:
    name: {{ . }}
    items:
      - key: tls.crt
        path: tls.crt
      - key: tls.key
        path: tls.key
{{- end }}
{{- with .Values.tls.clientCASecretName }}
- secret:
    name: {{ . }}
    items:
      - key: ca.crt
        path: client-ca.crt
{{- end }}
{{- end -}}

{{- /* The common part of all pods, including that of `helm test`. */ -}}
{{- define "sellio-cart.podBase" -}}
serviceAccountName: {{ include "sellio-cart.serviceAccountName" . }}
automountServiceAccountToken: false
# Otherwise a Service called "http" in the namespace would set HTTP_PORT.
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
securityContext:
  # The kubelet can check this, because the image's user is numeric.
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

{{- /* The common part of the server's and the migration's pods. */ -}}
{{- define "sellio-cart.podSpec" -}}
{{- include "sellio-cart.podBase" . }}
{{- $secrets := include "sellio-cart.secretFiles" . | trim }}
{{- if or $secrets .Values.extraVolumes }}
volumes:
  {{- with $secrets }}
  - name: secrets
    projected:
      sources:
        {{- . | nindent 8 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sellio-cart.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- /* The common part of every container that runs sellio-cart. Takes the chart's root, and in keyRef the Secret key that
       holds DATABASE_URL. */ -}}
{{- define "sellio-cart.container" -}}
{{- $values := .root.Values -}}
image: {{ printf "%s%s" $values.image.repository (include "sellio-cart.imageVersion" .root) | quote }}
imagePullPolicy: {{ $values.image.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ include "sellio-cart.fullname" .root }}
env:
  - name: DATABASE_URL
    valueFrom:
      secretKeyRef:
        {{- .keyRef | nindent 8 }}
  - name: GOMEMLIMIT
    value: {{ $values.goMemLimit }}
  {{- with $values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml $values.resources | nindent 2 }}
securityContext:
  {{- include "sellio-cart.containerSecurity" .root | nindent 2 }}
{{- $secrets := include "sellio-cart.secretFiles" .root | trim }}
{{- if or $secrets $values.extraVolumeMounts }}
volumeMounts:
  {{- if $secrets }}
  - name: secrets
    mountPath: /etc/sellio-cart
    readOnly: true
  {{- end }}
  {{- with $values.extraVolumeMounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "sellio-cart.serverContainer" -}}
{{- include "sellio-cart.container" (dict "root" . "keyRef" (include "sellio-cart.databaseKeyRef" .)) -}}
{{- end -}}

{{- define "sellio-cart.migrationContainer" -}}
{{- include "sellio-cart.container" (dict "root" . "keyRef" (include "sellio-cart.migrationKeyRef" .)) -}}
{{- end -}}
