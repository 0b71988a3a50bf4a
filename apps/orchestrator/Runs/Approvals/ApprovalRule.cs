using System.Text.Json;
using MultiAgent.Contracts.Identity;
using MultiAgent.Orchestrator.Agents;
using MultiAgent.Workflows.Templates;

namespace MultiAgent.Orchestrator.Runs.Approvals;

/// <summary>Which calls of a tool a person has to agree to, ready to be asked.</summary>
internal sealed class ApprovalRule
{
    /// <summary>The variable of the condition that holds the call's arguments.</summary>
    public const string Arguments = "args";

    private readonly Condition? _when;

    private ApprovalRule(Condition? when, ToolApproval approval)
    {
        _when = when;
        Role = approval.Role ?? Name(Contracts.Identity.Role.Admin);
        Expires = approval.ExpiresSeconds is { } seconds ? TimeSpan.FromSeconds(seconds) : ToolApproval.DefaultExpiry;
        Escalation = approval.Escalate is { Role: { } role, AfterSeconds: { } after } ? (TimeSpan.FromSeconds(after), role) : null;
    }

    /// <summary>Who may agree; stronger roles may too.</summary>
    public string Role { get; }

    /// <summary>How long the call waits before it is given up.</summary>
    public TimeSpan Expires { get; }

    /// <summary>Whom to ask besides when nobody has answered by then.</summary>
    public (TimeSpan After, string Role)? Escalation { get; }

    /// <summary>The rule of a tool's settings; null when no call needs anybody.</summary>
    /// <param name="approval">The settings.</param>
    /// <param name="problem">Calls back with the member and what is wrong with it.</param>
    public static ApprovalRule? Compile(ToolApproval? approval, Action<string, string>? problem = null)
    {
        if (approval is null) return null;
        bool valid = true;
        string mode = approval.Mode ?? (approval.When is null ? ToolApproval.Always : ToolApproval.Conditional);
        if (mode is not (ToolApproval.Never or ToolApproval.Always or ToolApproval.Conditional)) Add("mode", "must be 'never', 'always' or 'when'.");
        if (mode == ToolApproval.Conditional == approval.When is null) Add("when", mode == ToolApproval.Conditional ? "is required with the mode 'when'." : "goes with the mode 'when' alone.");
        Condition? when = null;
        if (approval.When is { } text && (when = Condition.TryParse(text, [Arguments], out string? error)) is null) Add("when", error!);
        if (approval.Role is { } role && !IsRole(role)) Add("role", Roles);
        if (approval.ExpiresSeconds is < 1 or > ToolApproval.LongestSeconds) Add("expiresSeconds", $"must be between 1 and {ToolApproval.LongestSeconds}.");
        if (approval.Escalate is { } escalate)
        {
            double expires = approval.ExpiresSeconds ?? ToolApproval.DefaultExpiry.TotalSeconds;
            if (escalate.AfterSeconds is not { } after || after < 1 || after >= expires) Add("escalate.afterSeconds", "is required: at least 1, and less than 'expiresSeconds'.");
            if (escalate.Role is not { } to || !IsRole(to)) Add("escalate.role", Roles);
        }
        return valid && mode != ToolApproval.Never ? new ApprovalRule(when, approval) : null;

        void Add(string member, string message)
        {
            valid = false;
            problem?.Invoke(member, message);
        }
    }

    /// <summary>True when a person has to agree to a call with these arguments. A condition that cannot be evaluated is no consent.</summary>
    public bool Asks(JsonElement arguments)
    {
        if (_when is null) return true;
        try
        {
            return _when.Evaluate(WorkflowScope.Of(Arguments, arguments));
        }
        catch (WorkflowTemplateException)
        {
            return true;
        }
    }

    private static string Roles { get; } = $"must be one of {string.Join(", ", Enum.GetValues<Role>().Select(Name))}.";

    private static bool IsRole(string name) => Enum.GetValues<Role>().Any(r => Name(r) == name);

    private static string Name(Role role) => role.ToString().ToLowerInvariant();
}
