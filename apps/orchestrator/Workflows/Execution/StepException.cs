namespace MultiAgent.Orchestrator.Workflows.Execution;

/// <summary>An attempt at a step failed.</summary>
/// <param name="code">Stable.</param>
/// <param name="message">For the people of the tenant; holds no secret.</param>
/// <param name="retryable">Another attempt may do better.</param>
internal sealed class StepException(string code, string message, bool retryable = true) : Exception(message)
{
    public string Code => code;

    public bool Retryable => retryable;
}

/// <summary>A step failed for good, and with it the workflow.</summary>
internal sealed class StepFailedException(string path, string code, string message) : Exception(message)
{
    public string Path => path;

    public string Code => code;
}

/// <summary>The workflow reached an <c>end</c> step.</summary>
internal sealed class WorkflowEndedException(bool failed, System.Text.Json.JsonElement? output, string? message) : Exception(message ?? "The workflow ended.")
{
    public bool Failed => failed;

    public System.Text.Json.JsonElement? Output => output;
}

/// <summary>Everything waits: the run is put to rest, and goes on from its log when something comes.</summary>
internal sealed class ParkedException : Exception;

/// <summary>The log is walked to see what was done, and ends here.</summary>
internal sealed class LogEndsException : Exception;

/// <summary>Codes of failed steps.</summary>
internal static class StepCodes
{
    public const string AgentFailed = "agent_failed";
    public const string AgentNotFound = "agent_not_found";
    public const string WorkflowNotFound = "workflow_not_found";
    public const string ToolNotFound = "tool_not_found";
    public const string ToolFailed = "tool_failed";
    public const string InvalidArguments = "invalid_arguments";
    public const string InvalidInput = "invalid_input";
    public const string InvalidOutput = "invalid_output";
    public const string OutcomeUnknown = "outcome_unknown";
    public const string Template = "template_error";
    public const string Timeout = "step_timeout";
    public const string Expired = "wait_expired";
    public const string BudgetExceeded = "budget_exceeded";
    public const string LimitReached = "limit_reached";
    public const string NoProgress = "no_progress";
    public const string NoMajority = "no_majority";
    public const string EndedAsFailed = "workflow_failed";
}
