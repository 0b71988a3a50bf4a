using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;

namespace MultiAgent.Orchestrator.Agents;

/// <summary>How a change of an agent ended.</summary>
internal enum AgentOutcome
{
    Done,
    NotFound,
    SlugTaken,
    VersionChanged,
    UnknownVersion,
}

/// <summary>Changes agents. Definitions are checked by the caller.</summary>
internal sealed class AgentCommands(ServiceDb<OrchestratorDb> db, AgentCatalogue catalogue, TimeProvider time)
{
    public static readonly string[] Labels = ["production", "staging"];

    public async Task<AgentOutcome> CreateAsync(string tenantId, AgentSpec spec, string? author, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.Agents.AnyAsync(a => a.Slug == spec.Slug && a.DeletedAt == null, cancellationToken)) return AgentOutcome.SlugTaken;
        var agent = new AgentEntity { Id = Ids.New("agt", now), Slug = spec.Slug!, LatestVersion = 1, CreatedAt = now, UpdatedAt = now };
        context.Add(agent);
        context.Add(Version(agent.Id, 1, spec, author, now));
        foreach (string label in Labels) context.Add(new AgentLabelEntity { AgentId = agent.Id, Label = label, Version = 1, UpdatedAt = now });
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (IsDuplicate(e))
        {
            return AgentOutcome.SlugTaken;
        }
        catalogue.Changed(tenantId, spec.Slug!);
        return AgentOutcome.Done;
    }

    /// <summary>Adds a version and moves the labels to it.</summary>
    public async Task<AgentOutcome> UpdateAsync(string tenantId, string slug, AgentSpec spec, bool promote, int? expectedVersion, string? author, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        AgentEntity? agent = await context.Agents.SingleOrDefaultAsync(a => a.Slug == slug && a.DeletedAt == null, cancellationToken);
        if (agent is null) return AgentOutcome.NotFound;
        if (expectedVersion is { } expected && expected != agent.LatestVersion) return AgentOutcome.VersionChanged;
        agent.LatestVersion++;
        agent.UpdatedAt = now;
        context.Add(Version(agent.Id, agent.LatestVersion, spec, author, now));
        foreach (AgentLabelEntity label in await context.AgentLabels.Where(l => l.AgentId == agent.Id).ToListAsync(cancellationToken))
        {
            if (label.Label == AgentCatalogue.DefaultLabel && !promote) continue;
            label.Version = agent.LatestVersion;
            label.UpdatedAt = now;
        }
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || IsDuplicate(e))
        {
            // Another writer made this version number first.
            return AgentOutcome.VersionChanged;
        }
        catalogue.Changed(tenantId, slug);
        return AgentOutcome.Done;
    }

    /// <summary>Points a label to a version: promotion, or rollback.</summary>
    public async Task<AgentOutcome> MoveLabelAsync(string tenantId, string slug, string label, int version, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        AgentEntity? agent = await context.Agents.SingleOrDefaultAsync(a => a.Slug == slug && a.DeletedAt == null, cancellationToken);
        if (agent is null) return AgentOutcome.NotFound;
        AgentLabelEntity? entity = await context.AgentLabels.SingleOrDefaultAsync(l => l.AgentId == agent.Id && l.Label == label, cancellationToken);
        if (entity is null) return AgentOutcome.NotFound;
        if (version < 1 || version > agent.LatestVersion) return AgentOutcome.UnknownVersion;
        entity.Version = version;
        entity.UpdatedAt = time.GetUtcNow();
        await context.SaveChangesAsync(cancellationToken);
        catalogue.Changed(tenantId, slug);
        return AgentOutcome.Done;
    }

    /// <summary>Hides the agent; its versions stay for the runs that used them, and its slug is free again.</summary>
    public async Task<AgentOutcome> DeleteAsync(string tenantId, string slug, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        AgentEntity? agent = await context.Agents.SingleOrDefaultAsync(a => a.Slug == slug && a.DeletedAt == null, cancellationToken);
        if (agent is null) return AgentOutcome.NotFound;
        agent.DeletedAt = agent.UpdatedAt = time.GetUtcNow();
        await context.SaveChangesAsync(cancellationToken);
        catalogue.Changed(tenantId, slug);
        return AgentOutcome.Done;
    }

    // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY
    private static bool IsDuplicate(DbUpdateException e) => e.InnerException is SqliteException { SqliteExtendedErrorCode: 2067 or 1555 } || PostgresFaults.IsDuplicate(e);

    private static AgentVersionEntity Version(string agentId, int number, AgentSpec spec, string? author, DateTimeOffset now) => new()
    {
        AgentId = agentId,
        Number = number,
        Definition = JsonSerializer.Serialize(spec with { Promote = null }, AgentJson.Default.AgentSpec),
        CreatedAt = now,
        CreatedBy = author,
    };
}
