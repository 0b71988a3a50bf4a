using MultiAgent.Orchestrator.Memory;

namespace MultiAgent.Orchestrator.Tests.Memory;

/// <summary>How facts are found.</summary>
[Trait("Database", "once")]
public sealed class MemorySearchTests
{
    private static readonly DateTimeOffset Now = new(2026, 6, 1, 0, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Rank_PrefersRareWords_AndLeavesOutWhatSharesNone()
    {
        Fact[] facts = [Of("The user has a dog"), Of("The user has an allergy to nuts"), Of("The user lives in Hanoi"), Of("Ships on Mondays")];

        Assert.Equal(["The user has an allergy to nuts"], Texts("which allergies?"));
        Assert.Equal("The user lives in Hanoi", Texts("where does the user live? hanoi")[0]);
        Assert.Empty(Texts("weather"));

        string[] Texts(string question) => [.. MemorySearch.Rank(facts, question, 10, Now).Select(f => f.Text)];
    }

    [Fact]
    public void Rank_OfEquals_PrefersTheFresh()
    {
        Fact old = Of("Prefers tea") with { UsedAt = Now.AddDays(-90) }, fresh = Of("Prefers coffee");

        Assert.Equal([fresh, old], MemorySearch.Rank([old, fresh], "what prefers", 10, Now));
        Assert.Equal([fresh], MemorySearch.Rank([old, fresh], null, 1, Now));
        Assert.Equal([fresh], MemorySearch.Rank([old, fresh], "?!", 1, Now));
    }

    private static Fact Of(string text) => new() { Id = text, Subject = "user:u", Text = text, CreatedAt = Now, UsedAt = Now };
}
