using System.Globalization;
using System.Text;
using System.Text.Json;
using MultiAgent.Contracts;
using MultiAgent.Orchestrator.Tools;

namespace MultiAgent.Orchestrator.Memory;

/// <summary>Writes a fact down.</summary>
internal sealed class RememberTool(IMemoryStore store, TimeProvider time) : ITool
{
    public const int MaxText = 1000;
    public const int MaxFacts = 1000;

    public string Name => "remember";

    public string Description => "Keeps a fact in mind beyond this conversation: about the user (about: user), or for yourself whoever you talk to (about: agent). One short, complete sentence each. " +
        "Never passwords, card numbers or what the user asks not to be kept.";

    public string ParametersSchema => """{"type":"object","properties":{"fact":{"type":"string","minLength":3,"maxLength":1000},"about":{"type":"string","enum":["user","agent"],"default":"user"}},"required":["fact"],"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    /// <summary>The agent, or workflow, whose run it is.</summary>
    public static string AgentOf(ToolContext context) => context.Run?.Agent ?? throw new ToolException("This works in runs of agents only: elsewhere it is not known whose facts these are.");

    // The same fact is kept once.
    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        bool ofAgent = arguments.TryGetProperty("about", out JsonElement about) && about.GetString() == "agent";
        DateTimeOffset now = time.GetUtcNow();
        Fact kept = await store.RememberAsync(context.TenantId, new Fact
        {
            Id = Ids.New("mem", now),
            Subject = ofAgent ? MemorySubject.OfAgent(AgentOf(context))
                : MemorySubject.OfUser(context.User ?? throw new ToolException("It is not known who the user is, so that nothing can be kept about them.")),
            Text = arguments.GetProperty("fact").GetString()!.Trim(),
            Agent = AgentOf(context),
            RunId = context.RunId,
            ConversationId = context.Run?.ConversationId,
            Author = context.User,
            CreatedAt = now,
            UsedAt = now,
        }, MaxFacts);
        return $"Kept as {kept.Id}.";
    }
}

/// <summary>Finds facts.</summary>
internal sealed class RecallTool(IMemoryStore store, TimeProvider time) : ITool
{
    private const int Found = 10;

    public string Name => "recall";

    public string Description => "Finds what you were told to keep in mind about this user and for yourself, by words of the question; without a question the latest. Gives ids, dates and facts.";

    public string ParametersSchema => """{"type":"object","properties":{"question":{"type":"string","maxLength":1000}},"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.None;

    /// <summary>What the run may know: of its own user and agent.</summary>
    public static IReadOnlyList<string> Subjects(ToolContext context) =>
        context.User is { } user ? [MemorySubject.OfUser(user), MemorySubject.OfAgent(RememberTool.AgentOf(context))] : [MemorySubject.OfAgent(RememberTool.AgentOf(context))];

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        IReadOnlyList<Fact> all = await store.OfAsync(context.TenantId, Subjects(context));
        DateTimeOffset now = time.GetUtcNow();
        IReadOnlyList<Fact> found = MemorySearch.Rank(all, arguments.TryGetProperty("question", out JsonElement question) ? question.GetString() : null, Found, now);
        if (found.Count == 0) return "Nothing is known.";
        await store.UsedAsync(context.TenantId, [.. found.Select(f => f.Id)], now);
        var text = new StringBuilder();
        foreach (Fact fact in found) text.Append(CultureInfo.InvariantCulture, $"{fact.Id} ({fact.CreatedAt:yyyy-MM-dd}): {fact.Text}\n");
        return text.ToString();
    }
}

/// <summary>Forgets a fact.</summary>
internal sealed class ForgetTool(IMemoryStore store) : ITool
{
    public string Name => "forget";

    public string Description => "Forgets a fact that you kept in mind, e.g. because the user asks for it or because it is wrong. Takes the id that 'recall' gives.";

    public string ParametersSchema => """{"type":"object","properties":{"id":{"type":"string","minLength":1,"maxLength":64}},"required":["id"],"additionalProperties":false}""";

    public byte[] Definition => field ??= ToolRegistry.Define(Name, Description, ParametersSchema);

    public ToolEffect EffectOf(JsonElement arguments) => ToolEffect.Idempotent;

    public async Task<ToolResult> ExecuteAsync(ToolContext context, JsonElement arguments, CancellationToken cancellationToken)
    {
        string id = arguments.GetProperty("id").GetString()!;
        // Of another user or agent it does not even know.
        bool own = await store.FindAsync(context.TenantId, id) is { } fact && RecallTool.Subjects(context).Contains(fact.Subject);
        return own && await store.ForgetAsync(context.TenantId, id) ? "Forgotten." : "There is no such fact; perhaps it is forgotten already.";
    }
}
