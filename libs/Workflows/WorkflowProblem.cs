namespace MultiAgent.Workflows;

/// <summary>Something wrong with a workflow, and where.</summary>
/// <param name="Line">From 1.</param>
/// <param name="Column">From 1.</param>
/// <param name="Path">Where in the document, e.g. <c>steps[0].cases[1].when</c>; empty for the document itself.</param>
/// <param name="Code">One of <see cref="ProblemCodes"/>.</param>
/// <param name="Message">For people.</param>
public sealed record WorkflowProblem(int Line, int Column, string Path, string Code, string Message)
{
    public override string ToString() => $"{Line}:{Column}: {(Path.Length == 0 ? "" : Path + ": ")}{Message}";
}

/// <summary>The stable codes of problems.</summary>
public static class ProblemCodes
{
    public const string Syntax = "syntax";
    public const string TooLarge = "too_large";
    public const string TooDeep = "too_deep";
    public const string TooManySteps = "too_many_steps";
    public const string AliasNotAllowed = "alias_not_allowed";
    public const string DuplicateMember = "duplicate_member";
    public const string UnknownMember = "unknown_member";
    public const string MissingMember = "missing_member";
    public const string WrongType = "wrong_type";
    public const string InvalidValue = "invalid_value";
    public const string DuplicateId = "duplicate_id";
    public const string UnknownStepType = "unknown_step_type";
    public const string InvalidTemplate = "invalid_template";
    public const string UnknownVariable = "unknown_variable";
    public const string UnknownStep = "unknown_step";
    public const string StepNotAvailable = "step_not_available";
    public const string InvalidSchema = "invalid_schema";
    public const string UnknownAgent = "unknown_agent";
    public const string UnknownWorkflow = "unknown_workflow";
    public const string UnknownTool = "unknown_tool";
}
