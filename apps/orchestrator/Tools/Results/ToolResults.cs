using System.Text;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using MultiAgent.Contracts;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;

namespace MultiAgent.Orchestrator.Tools.Results;

/// <summary>A piece of a kept result.</summary>
/// <param name="Id">Of the result.</param>
/// <param name="RunId">The run whose call gave it.</param>
/// <param name="Tool">The tool's name.</param>
/// <param name="Bytes">Size of the whole.</param>
/// <param name="Offset">Where the piece begins, in bytes.</param>
/// <param name="NextOffset">Where the next one begins; null at the end.</param>
/// <param name="Text">The piece, cut between characters.</param>
/// <param name="CreatedAt">When it was kept.</param>
internal sealed record ToolResultPage(string Id, string RunId, string Tool, int Bytes, int Offset, int? NextOffset, string Text, DateTimeOffset CreatedAt);

/// <summary>Keeps results that are larger than what a model gets, for it to read on and for people to look at.</summary>
internal sealed class ToolResults(ServiceDb<OrchestratorDb> db, TimeProvider time)
{
    public const int MaxPage = 64 * 1024;

    /// <summary>Keeps a result and returns its id. The same call has the same id: one that a crash repeated is not kept twice.</summary>
    public async Task<string> KeepAsync(string tenantId, string runId, string tool, string key, byte[] content, DateTimeOffset runBegan, CancellationToken cancellationToken)
    {
        string id = Ids.Of("res", runBegan, $"{tenantId}\n{key}");
        await using OrchestratorDb context = db.Open(tenantId);
        await context.ToolResults.Where(r => r.Id == id).ExecuteDeleteAsync(cancellationToken);
        context.Add(new ToolResultEntity { Id = id, RunId = runId, Tool = tool, Content = content, CreatedAt = time.GetUtcNow() });
        await context.SaveChangesAsync(cancellationToken);
        return id;
    }

    /// <summary>A piece of a result; null when the tenant has none of that id.</summary>
    /// <param name="tenantId">Whose.</param>
    /// <param name="id">Untrusted.</param>
    /// <param name="offset">In bytes.</param>
    /// <param name="limit">Most bytes of the piece; 4 at least.</param>
    public async Task<ToolResultPage?> ReadAsync(string tenantId, string id, int offset, int limit, CancellationToken cancellationToken)
    {
        if (!Ids.IsValid(id, "res")) return null;
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.ToolResults.AsNoTracking().SingleOrDefaultAsync(r => r.Id == id, cancellationToken) is not { } result) return null;
        int from = Boundary(result.Content, Math.Clamp(offset, 0, result.Content.Length));
        int to = Boundary(result.Content, Math.Min(result.Content.Length, from + Math.Clamp(limit, 4, MaxPage)));
        return new ToolResultPage(id, result.RunId, result.Tool, result.Content.Length, from, to < result.Content.Length ? to : null, Encoding.UTF8.GetString(result.Content, from, to - from), result.CreatedAt);
    }

    /// <summary>Forgets what was kept before a time.</summary>
    public async Task<int> ForgetAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.OpenSystem("retention of tool results");
        return await context.ToolResults.Where(r => r.CreatedAt < before).ExecuteDeleteAsync(cancellationToken);
    }

    // Back to the beginning of the character that the position is in.
    private static int Boundary(byte[] content, int position)
    {
        while (position > 0 && position < content.Length && (content[position] & 0xC0) == 0x80) position--;
        return position;
    }
}

/// <summary>Section <c>Tools:Results</c>.</summary>
internal sealed class ToolResultOptions
{
    /// <summary>Days that large results of tools are kept. Default 30; 1 to 3 650.</summary>
    public int KeepDays { get; set; } = 30;
}

internal sealed class ToolResultValidator : IValidateOptions<ToolResultOptions>
{
    public ValidateOptionsResult Validate(string? name, ToolResultOptions options) => options.KeepDays is >= 1 and <= 3650 ? ValidateOptionsResult.Success
        : ValidateOptionsResult.Fail($"Tools:Results:KeepDays is {options.KeepDays}; set it between 1 and 3650.");
}

/// <summary>Forgets old results, hourly.</summary>
internal sealed partial class ToolResultCleanup(ToolResults results, IOptions<ToolResultOptions> options, TimeProvider time, ILogger<ToolResultCleanup> logger) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(TimeSpan.FromHours(1), time);
        do
        {
            try
            {
                await results.ForgetAsync(time.GetUtcNow().AddDays(-options.Value.KeepDays), stoppingToken);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                LogFailed(e);
            }
        }
        while (await timer.WaitForNextTickAsync(stoppingToken));
    }

    [LoggerMessage(EventId = 1, EventName = "ToolResultCleanupFailed", Level = LogLevel.Warning, Message = "Old results of tools could not be forgotten; trying again in an hour")]
    private partial void LogFailed(Exception e);
}
