using Microsoft.Data.Sqlite;
using Microsoft.EntityFrameworkCore;
using MultiAgent.Contracts;
using MultiAgent.Data.Postgres;
using MultiAgent.Data.Tenancy;
using MultiAgent.Orchestrator.Storage;
using MultiAgent.Workflows;

namespace MultiAgent.Orchestrator.Workflows.Definitions;

/// <summary>How a change of a workflow ended.</summary>
internal enum WorkflowOutcome
{
    Done,
    NotFound,
    SlugTaken,
    VersionChanged,
    UnknownVersion,
}

/// <summary>Changes workflows. Definitions are checked by the caller.</summary>
internal sealed class WorkflowCommands(ServiceDb<OrchestratorDb> db, WorkflowCatalogue catalogue, TimeProvider time)
{
    public static readonly string[] Labels = ["production", "staging"];

    public async Task<WorkflowOutcome> CreateAsync(string tenantId, WorkflowDefinition definition, string source, string? author, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        if (await context.Workflows.AnyAsync(w => w.Slug == definition.Name && w.DeletedAt == null, cancellationToken)) return WorkflowOutcome.SlugTaken;
        var workflow = new WorkflowEntity { Id = Ids.New("wfl", now), Slug = definition.Name, LatestVersion = 1, CreatedAt = now, UpdatedAt = now };
        context.Add(workflow);
        context.Add(Version(workflow.Id, 1, definition, source, author, now));
        foreach (string label in Labels) context.Add(new WorkflowLabelEntity { WorkflowId = workflow.Id, Label = label, Version = 1, UpdatedAt = now });
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (IsDuplicate(e))
        {
            return WorkflowOutcome.SlugTaken;
        }
        catalogue.Changed(tenantId, definition.Name);
        return WorkflowOutcome.Done;
    }

    /// <summary>Creates those that are not there, all at once.</summary>
    public async Task SeedAsync(string tenantId, IReadOnlyList<ExampleWorkflow> examples, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        HashSet<string> there = [.. await context.Workflows.Where(w => w.DeletedAt == null).Select(w => w.Slug).ToListAsync(cancellationToken)];
        foreach (ExampleWorkflow example in examples.Where(e => !there.Contains(e.Slug)))
        {
            var workflow = new WorkflowEntity { Id = Ids.New("wfl", now), Slug = example.Slug, LatestVersion = 1, CreatedAt = now, UpdatedAt = now };
            context.Add(workflow);
            context.Add(new WorkflowVersionEntity { WorkflowId = workflow.Id, Number = 1, Description = example.Description, Source = example.Source, CreatedAt = now, CreatedBy = "example" });
            foreach (string label in Labels) context.Add(new WorkflowLabelEntity { WorkflowId = workflow.Id, Label = label, Version = 1, UpdatedAt = now });
        }
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (IsDuplicate(e))
        {
            // Another replica seeds the same tenant.
        }
        foreach (ExampleWorkflow example in examples) catalogue.Changed(tenantId, example.Slug);
    }

    /// <summary>Adds a version and moves the labels to it.</summary>
    public async Task<WorkflowOutcome> UpdateAsync(string tenantId, WorkflowDefinition definition, string source, bool promote, int? expectedVersion, string? author, CancellationToken cancellationToken)
    {
        DateTimeOffset now = time.GetUtcNow();
        await using OrchestratorDb context = db.Open(tenantId);
        if (await FindAsync(context, definition.Name, cancellationToken) is not { } workflow) return WorkflowOutcome.NotFound;
        if (expectedVersion is { } expected && expected != workflow.LatestVersion) return WorkflowOutcome.VersionChanged;
        workflow.LatestVersion++;
        workflow.UpdatedAt = now;
        context.Add(Version(workflow.Id, workflow.LatestVersion, definition, source, author, now));
        foreach (WorkflowLabelEntity label in await context.WorkflowLabels.Where(l => l.WorkflowId == workflow.Id).ToListAsync(cancellationToken))
        {
            if (label.Label == WorkflowCatalogue.DefaultLabel && !promote) continue;
            label.Version = workflow.LatestVersion;
            label.UpdatedAt = now;
        }
        try
        {
            await context.SaveChangesAsync(cancellationToken);
        }
        catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || IsDuplicate(e))
        {
            // Another writer made this version number first.
            return WorkflowOutcome.VersionChanged;
        }
        catalogue.Changed(tenantId, definition.Name);
        return WorkflowOutcome.Done;
    }

    /// <summary>Points a label to a version: promotion, or rollback.</summary>
    public async Task<WorkflowOutcome> MoveLabelAsync(string tenantId, string slug, string label, int version, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        if (await FindAsync(context, slug, cancellationToken) is not { } workflow) return WorkflowOutcome.NotFound;
        WorkflowLabelEntity? entity = await context.WorkflowLabels.SingleOrDefaultAsync(l => l.WorkflowId == workflow.Id && l.Label == label, cancellationToken);
        if (entity is null) return WorkflowOutcome.NotFound;
        if (version < 1 || version > workflow.LatestVersion) return WorkflowOutcome.UnknownVersion;
        entity.Version = version;
        entity.UpdatedAt = time.GetUtcNow();
        await context.SaveChangesAsync(cancellationToken);
        catalogue.Changed(tenantId, slug);
        return WorkflowOutcome.Done;
    }

    /// <summary>Hides the workflow; its versions stay for the runs that used them, and its slug is free again.</summary>
    public async Task<WorkflowOutcome> DeleteAsync(string tenantId, string slug, CancellationToken cancellationToken)
    {
        await using OrchestratorDb context = db.Open(tenantId);
        if (await FindAsync(context, slug, cancellationToken) is not { } workflow) return WorkflowOutcome.NotFound;
        workflow.DeletedAt = workflow.UpdatedAt = time.GetUtcNow();
        await context.SaveChangesAsync(cancellationToken);
        catalogue.Changed(tenantId, slug);
        return WorkflowOutcome.Done;
    }

    private static Task<WorkflowEntity?> FindAsync(OrchestratorDb context, string slug, CancellationToken cancellationToken) =>
        context.Workflows.SingleOrDefaultAsync(w => w.Slug == slug && w.DeletedAt == null, cancellationToken);

    // SQLITE_CONSTRAINT_UNIQUE and SQLITE_CONSTRAINT_PRIMARYKEY
    private static bool IsDuplicate(DbUpdateException e) => e.InnerException is SqliteException { SqliteExtendedErrorCode: 2067 or 1555 } || PostgresFaults.IsDuplicate(e);

    private static WorkflowVersionEntity Version(string workflowId, int number, WorkflowDefinition definition, string source, string? author, DateTimeOffset now) => new()
    {
        WorkflowId = workflowId,
        Number = number,
        Description = definition.Description,
        Source = source,
        CreatedAt = now,
        CreatedBy = author,
    };
}
