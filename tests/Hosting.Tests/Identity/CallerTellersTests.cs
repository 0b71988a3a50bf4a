using Microsoft.Extensions.Time.Testing;
using MultiAgent.Hosting.Identity;
using Xunit;

namespace MultiAgent.Hosting.Tests.Identity;

/// <summary>Who is missed, for how long, and what of theirs was missed.</summary>
public sealed class CallerTellersTests
{
    private readonly FakeTimeProvider _time = new();
    private readonly CallerTellers _tellers;

    public CallerTellersTests() => _tellers = new CallerTellers(TimeSpan.FromMilliseconds(700), _time);

    [Fact]
    public void OneOfTwo_ThatFallsSilent_IsMissedUntilItIsHeardAgain()
    {
        Assert.True(_tellers.AllHeard);
        _tellers.Hear("a");
        _tellers.Hear("b");
        _time.Advance(TimeSpan.FromMilliseconds(600));
        _tellers.Hear("b");
        Assert.True(_tellers.AllHeard);
        _time.Advance(TimeSpan.FromMilliseconds(100));
        Assert.False(_tellers.AllHeard);
        _tellers.Hear("a");
        Assert.True(_tellers.AllHeard);
    }

    [Fact]
    public void OneThatLeaves_OrIsSilentForLong_IsForgotten()
    {
        _tellers.Hear("a");
        _tellers.Leave("a");
        _tellers.Hear("b");
        _time.Advance(CallerTellers.Missed - TimeSpan.FromMilliseconds(1));
        Assert.False(_tellers.AllHeard);
        _time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.True(_tellers.AllHeard);
    }

    [Fact]
    public void Numbers_WithAGap_TellThatChangesWereMissed()
    {
        Assert.True(_tellers.Hear("a", 3));
        Assert.True(_tellers.Count("a", 4));
        Assert.True(_tellers.Hear("a", 4));
        // The beacon may be the older of the two.
        Assert.True(_tellers.Hear("a", 3));
        Assert.False(_tellers.Count("a", 6));
        Assert.True(_tellers.Hear("a", 6));
        Assert.False(_tellers.Hear("a", 7));
    }
}
