namespace MultiAgent.Contracts;

/// <summary>
/// The stable error codes of the API: the <c>code</c> member of problem details, and of the error object on the
/// OpenAI surface. A code never changes its meaning; texts may.
/// </summary>
public static class ErrorCodes
{
    // Request
    public const string InvalidJson = "invalid_json";
    public const string InvalidRequest = "invalid_request";
    public const string ValidationFailed = "validation_failed";
    public const string BodyTooLarge = "body_too_large";
    public const string JsonTooDeep = "json_too_deep";
    public const string UnsupportedMediaType = "unsupported_media_type";
    public const string NotFound = "not_found";
    public const string UnknownUrl = "unknown_url";
    public const string MethodNotAllowed = "method_not_allowed";
    public const string Conflict = "conflict";
    public const string PreconditionFailed = "precondition_failed";
    public const string IdempotencyAnswerTooLarge = "idempotency_answer_too_large";
    public const string IdempotencyKeyReused = "idempotency_key_reused";
    public const string RequestTimeout = "request_timeout";

    // Identity
    public const string InvalidApiKey = "invalid_api_key";
    public const string InvalidCredentials = "invalid_credentials";
    public const string InvalidToken = "invalid_token";
    public const string RefreshTokenReused = "refresh_token_reused";
    public const string AccountLocked = "account_locked";
    public const string MissingScope = "missing_scope";
    public const string InvalidServiceToken = "invalid_service_token";
    public const string ClientCertificateRequired = "client_certificate_required";
    public const string LastOwner = "last_owner";

    // Limits
    public const string RateLimitExceeded = "rate_limit_exceeded";
    public const string ConcurrencyLimitExceeded = "concurrency_limit_exceeded";
    public const string Overloaded = "overloaded";
    public const string ServiceUnavailable = "service_unavailable";
    public const string StorageUnavailable = "storage_unavailable";

    // Models
    public const string ModelNotFound = "model_not_found";
    public const string ContextLengthExceeded = "context_length_exceeded";
    public const string ProviderError = "provider_error";
    public const string ProviderUnavailable = "provider_unavailable";
    public const string ProviderTimeout = "provider_timeout";
    public const string ProviderStreamInterrupted = "provider_stream_interrupted";

    // Agents and runs
    public const string AgentNotFound = "agent_not_found";
    public const string WorkflowNotFound = "workflow_not_found";
    public const string ConversationHandled = "conversation_handled";
    public const string ConversationNotHandled = "conversation_not_handled";
    public const string ToolNotFound = "tool_not_found";
    public const string ToolFailed = "tool_failed";
    public const string ToolSourceUnreadable = "tool_source_unreadable";
    public const string ApprovalNotOpen = "approval_not_open";
    public const string ApprovalArgumentsChanged = "approval_arguments_changed";
    public const string MissingRole = "missing_role";
    public const string PreviousResponseNotFound = "previous_response_not_found";
    public const string RunActive = "run_active";
    public const string RunQueueFull = "run_queue_full";
    public const string RunCancelled = "run_cancelled";
    public const string RunNotActive = "run_not_active";
    public const string NothingToCompact = "nothing_to_compact";
    public const string DeadLetterNotOpen = "dead_letter_not_open";
    public const string RunLogDeleted = "run_log_deleted";
    public const string RunNotPaused = "run_not_paused";
    public const string HostNotAllowed = "host_not_allowed";

    public const string InternalError = "internal_error";
}
