variable "project" {
  type = string
}

variable "region" {
  type    = string
  default = "europe-west1"
}

variable "name" {
  type    = string
  default = "tureen"
}

variable "image" {
  type        = string
  description = "An image with your models below /models, by digest."

  validation {
    condition     = can(regex("@sha256:[0-9a-f]{64}$", var.image))
    error_message = "Name the image by its digest: a tag may change."
  }
}

variable "domain" {
  type        = string
  description = "The name that both clouds answer to."
}

variable "cpus" {
  type    = string
  default = "2"
}

variable "memory" {
  type    = string
  default = "2Gi"
}

variable "concurrency" {
  type        = number
  default     = 64
  description = "Requests per instance. Above what an instance can answer, it refuses; below, Cloud Run starts more."
}

variable "least" {
  type    = number
  default = 1
}

variable "most" {
  type    = number
  default = 20
}

variable "retention_days" {
  type    = number
  default = 365
}
