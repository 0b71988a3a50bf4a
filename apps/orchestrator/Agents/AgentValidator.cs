using System.Text.Json;
using System.Text.RegularExpressions;
using MultiAgent.Orchestrator.Guardrails;
using MultiAgent.Orchestrator.Runs.Approvals;
using MultiAgent.Orchestrator.Tools;
using MultiAgent.Orchestrator.Tools.SubRuns;
using MultiAgent.Orchestrator.Tools.Sources;
using NJsonSchema;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>Checks an agent's definition and reports everything that is wrong with it.</summary>
internal sealed partial class AgentValidator(ToolRegistry registry, TenantTools tools)
{
    private const int MaxInstructions = 100_000;

    /// <param name="tenantId">Whose tools count.</param>
    /// <param name="spec">Untrusted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<IReadOnlyDictionary<string, string[]>> CheckAsync(string tenantId, AgentSpec spec, CancellationToken cancellationToken)
    {
        var errors = new Dictionary<string, List<string>>();
        if (spec.Slug is null || !Slug().IsMatch(spec.Slug)) Add("slug", "is required: lower-case letters, digits and dashes, at most 64, beginning with a letter or digit.");
        if (string.IsNullOrWhiteSpace(spec.Name)) Add("name", "is required.");
        TooLong("name", spec.Name, 200);
        TooLong("description", spec.Description, 2_000);
        TooLong("instructions", spec.Instructions, MaxInstructions);
        CheckVariables(spec);
        CheckInstructions(spec);
        CheckModel(spec);
        await CheckToolsAsync(spec, cancellationToken);
        await CheckResponseFormatAsync(spec, cancellationToken);
        Range("temperature", spec.Temperature, 0, 2);
        Range("topP", spec.TopP, 0, 1);
        Range("maxTokens", spec.MaxTokens, 1, 1_000_000);
        Range("limits.maxSteps", spec.Limits?.MaxSteps, 1, 100);
        Range("limits.maxTokens", spec.Limits?.MaxTokens, 1, 1_000_000_000);
        Range("limits.maxCostUsd", (double?)spec.Limits?.MaxCostUsd, 0.000001, 100_000);
        Range("limits.maxSeconds", spec.Limits?.MaxSeconds, 1, 86_400);
        CheckSoftLimit(spec);
        CheckContext(spec);
        GuardrailSet.Compile(spec.Guardrails, (member, problem) => Add($"guardrails{member}", problem));
        if (spec.OnBusy is not (null or "reject" or "queue" or "interrupt" or "rollback")) Add("onBusy", "must be 'reject', 'queue', 'interrupt' or 'rollback'.");
        if (spec.Metadata is { } metadata && (metadata.Count > 16 || metadata.Any(m => m.Key.Length > 64 || m.Value is null || m.Value.Length > 512)))
            Add("metadata", "may have 16 entries, with names of at most 64 and values of at most 512 characters.");
        return errors.ToDictionary(e => e.Key, e => e.Value.ToArray());

        void Add(string member, string message)
        {
            if (!errors.TryGetValue(member, out List<string>? list)) errors[member] = list = [];
            list.Add(message);
        }

        void TooLong(string member, string? value, int max)
        {
            if (value?.Length > max) Add(member, $"may have {max} characters.");
        }

        void Range(string member, double? value, double least, double most)
        {
            if (value is { } number && !(number >= least && number <= most)) Add(member, $"must be between {least} and {most}.");
        }

        void CheckVariables(AgentSpec spec)
        {
            var seen = new HashSet<string>();
            int index = 0;
            if (spec.Variables?.Count > 50) Add("variables", "may have 50 entries.");
            foreach (AgentVariable variable in spec.Variables ?? [])
            {
                string member = $"variables[{index++}]";
                if (variable.Name is null || !VariableName().IsMatch(variable.Name)) Add($"{member}.name", "is required: letters, digits and underscores, not beginning with a digit, at most 64.");
                else if (!seen.Add(variable.Name)) Add($"{member}.name", $"'{variable.Name}' is declared twice.");
                if (variable.Default is { ValueKind: not JsonValueKind.Null } value && !InstructionsTemplate.IsScalar(value)) Add($"{member}.default", "must be a string, number or boolean.");
            }
        }

        void CheckInstructions(AgentSpec spec)
        {
            var problems = new List<string>();
            InstructionsTemplate.TryParse(spec.Instructions ?? "", spec.Variables ?? [], problems);
            foreach (string problem in problems) Add("instructions", problem);
        }

        void CheckModel(AgentSpec spec)
        {
            if (spec.Model is not null && spec.Tier is not null) Add("model", "and 'tier' exclude each other.");
            if (spec.Model is not null && !ModelName().IsMatch(spec.Model)) Add("model", "must be a model's name, e.g. 'openai/gpt-5-mini'.");
            if (spec.Model?.StartsWith("agent/", StringComparison.Ordinal) == true) Add("model", "cannot be another agent.");
            if (spec.Tier is not (null or "fast" or "balanced" or "strong")) Add("tier", "must be 'fast', 'balanced' or 'strong'.");
            if (spec.Fallbacks is { } fallbacks && (fallbacks.Count > 8 || fallbacks.Any(f => f is null || !ModelName().IsMatch(f) || f.StartsWith("agent/", StringComparison.Ordinal))))
                Add("fallbacks", "may have 8 names of models.");
        }

        void CheckSoftLimit(AgentSpec spec)
        {
            if (spec.Limits?.Soft is not { } soft) return;
            Range("limits.soft.at", soft.At, 0.1, 0.99);
            Range("limits.soft.maxTokens", soft.MaxTokens, 1, 1_000_000);
            if (soft.Model is not null && (soft.Tier is not null || !ModelName().IsMatch(soft.Model) || soft.Model.StartsWith("agent/", StringComparison.Ordinal))) Add("limits.soft.model", "must be a model's name, and excludes 'tier'.");
            if (soft.Tier is not (null or "fast" or "balanced" or "strong")) Add("limits.soft.tier", "must be 'fast', 'balanced' or 'strong'.");
        }

        void CheckContext(AgentSpec spec)
        {
            if (spec.Context is not { } context) return;
            if (context.Strategy is not (null or AgentContext.Truncate or AgentContext.Summarize)) Add("context.strategy", "must be 'truncate' or 'summarize'.");
            Range("context.threshold", context.Threshold, 0.1, 0.95);
            Range("context.maxTokens", context.MaxTokens, 100, 10_000_000);
            Range("context.keepMessages", context.KeepMessages, 1, 200);
            Range("context.summaryTokens", context.SummaryTokens, 50, 8_000);
            if (context.Model is not null && (context.Tier is not null || !ModelName().IsMatch(context.Model) || context.Model.StartsWith("agent/", StringComparison.Ordinal))) Add("context.model", "must be a model's name, and excludes 'tier'.");
            if (context.Tier is not (null or "fast" or "balanced" or "strong")) Add("context.tier", "must be 'fast', 'balanced' or 'strong'.");
        }

        async Task CheckToolsAsync(AgentSpec spec, CancellationToken cancellationToken)
        {
            var seen = new HashSet<string>();
            int index = 0;
            if (spec.Tools?.Count > 128) Add("tools", "may have 128 entries.");
            foreach (AgentTool tool in spec.Tools ?? [])
            {
                string member = $"tools[{index++}]";
                if (tool.Name is null || await tools.FindAsync(tenantId, tool.Name, cancellationToken) is null)
                    Add($"{member}.name", $"must be one of {string.Join(", ", registry.Names)}, or of the tenant's own: 'source.tool', 'agent/slug', 'workflow/slug'.");
                else if (!seen.Add(tool.Name)) Add($"{member}.name", $"'{tool.Name}' is there twice.");
                ApprovalRule.Compile(tool.Approval, (name, problem) => Add($"{member}.approval.{name}", problem));
                if (tool.TimeoutSeconds is not null) Range($"{member}.timeoutSeconds", tool.TimeoutSeconds, 0.1, SubRunTools.IsName(tool.Name ?? "") ? AgentTool.LongestRunSeconds : AgentTool.LongestSeconds);
                if (tool.Name == HttpRequestTool.ToolName && (tool.AllowedHosts is not { Count: > 0 } hosts || hosts.Count > 50 || hosts.Any(h => !HostPattern.IsValid(h))))
                    Add($"{member}.allowedHosts", "is required: 1 to 50 host names such as 'api.example.com' or '*.example.com', without scheme, port or path.");
            }
        }

        async Task CheckResponseFormatAsync(AgentSpec spec, CancellationToken cancellationToken)
        {
            if (spec.ResponseFormat is not { } format) return;
            if (format.ValueKind != JsonValueKind.Object || format.GetRawText().Length > 50_000)
            {
                Add("responseFormat", "must be a JSON schema: an object of at most 50 000 characters.");
                return;
            }
            if (References(format))
            {
                // The schema library would fetch it.
                Add("responseFormat", "may only hold '$ref's that begin with '#'.");
                return;
            }
            try
            {
                await JsonSchema.FromJsonAsync(format.GetRawText(), cancellationToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                Add("responseFormat", $"is not a usable JSON schema: {e.Message.Split('\n')[0]}");
            }
        }
    }

    private static bool References(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().Any(p =>
            p.Name == "$ref" && p.Value.ValueKind == JsonValueKind.String ? !p.Value.GetString()!.StartsWith('#') : References(p.Value)),
        JsonValueKind.Array => element.EnumerateArray().Any(References),
        _ => false,
    };

    [GeneratedRegex("^[a-z0-9][a-z0-9-]{0,63}$")]
    private static partial Regex Slug();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]{0,63}$")]
    private static partial Regex VariableName();

    [GeneratedRegex("^[!-~]{1,200}$")]
    private static partial Regex ModelName();
}
