include { quoted } from './parameters'
include { filesBelow ; hexDigest } from './digests'
include { failedTasks ; inWords ; lastWords ; tries } from './failures'

// What a person reads when the run ends, and the records that stay beside the results.

// The commit of the code, with -dirty where files have been changed since; of a folder without git, a digest.
def revisionOf(run) {
    def root = run.projectDir
    def git = 'test -e .git && git describe --always --dirty --abbrev=40 --exclude="*" 2>/dev/null'
    def commit = run.commitId ?: ['bash', '-c', "cd \"\$0\" && ${git}", "${root}"].execute().text.trim()
    def files = commit ? [] : [root.resolve('main.nf'), root.resolve('nextflow.config')] +
        ['conf', 'modules', 'wssamnet'].collectMany { name -> filesBelow(root.resolve(name), []) }
    def code = files.findAll { file -> !file.toString().contains('__pycache__') }.sort()
    return commit ?: "code ${hexDigest(code.collect { file -> "${root.relativize(file)} ${file.bytes.encodeBase64()}" })}".toString()
}

// OUT/pipeline_info/params.json and versions.txt
def writeRecords(Map values, List versions, run) {
    def folder = file("${values.outdir}/pipeline_info", glob: false)
    folder.mkdirs()
    def record = [
        parameters: values.findAll { name, value -> value != null && name != 'help' },
        command: run.commandLine, profile: run.profile, revision: revisionOf(run),
    ]
    folder.resolve('params.json').text = groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(record)) + '\n'
    def lines = versions.collect { process, text -> "${process.tokenize(':').last()}: ${text.trim()}" }.unique().sort()
    folder.resolve('versions.txt').text = (["Nextflow: ${run.nextflow.version}"] + lines).join('\n') + '\n'
}

// What Nextflow knows of a fault: its cause, and what the command said, a refused submission for example.
def cause(run) {
    def blocks = (run.errorReport ?: '').split(/\n\n+/).toList()
        .findAll { block -> block.trim() ==~ /(?s)(Caused by|Command output|Command error):.*/ }
    def lines = blocks.collectMany { block -> block.trim().readLines().drop(1) }
    // An exit status is what inWords explains.
    return lines.collect { line -> line.trim() }
        .findAll { line -> line && line != '(empty)' && !(line =~ /terminated with an error exit status|\.command\./) }
}

// A failed task as a person wants to know it, one line each. A task that said nothing was not begun, or left nothing.
def failureLines(Map task, run) {
    def known = (run.errorReport ?: '').contains(task.folder)
    def said = lastWords(task) + (known && task.status == '0' ? cause(run).take(1) : [])
    def lines = (said || !known ? [] : cause(run)) ?: said + [inWords(task)]
    return (lines.take(40) + (lines.size() > 40 ? ["and ${lines.size() - 40} more lines"] : []) + [tries(task)]).findAll()
        .collect { line -> "  ${line}" } + [file(task.log, glob: false).exists() ? "  Log: ${task.log}" : "  Folder, where no log was begun: ${task.folder}"]
}

def called(Map task) {
    return task.tag ? "${task.step} (${task.tag})" : task.step
}

// The command that goes on, from the folder where the run was started.
def onceMore(run) {
    return "  cd ${run.launchDir ==~ /[\w\/.-]+/ ? run.launchDir : quoted(run.launchDir)}\n  ${run.commandLine}${run.commandLine.contains(' -resume') ? '' : ' -resume'}"
}

// OUT/pipeline_info/failure.txt holds what a stopped run has said, until a run ends well.
def failureText(outdir) {
    return file("${outdir}/pipeline_info/failure.txt", glob: false)
}

def leftOut(List tasks, run) {
    // A batch that was lost has been tried again case by case.
    def lasting = tasks.findAll { task -> task.tolerated && !(task.tag ==~ /.* and \d+ more/) }
    if (!lasting) {
        return []
    }
    def shown = lasting.take(10).collectMany { task -> ["${called(task)}:"] + failureLines(task, run) }
    def more = lasting.size() > 10 ? ["and ${lasting.size() - 10} more: pipeline_info/failed_tasks.tsv"] : []
    return ['', 'Failed and left out, as --tolerate allows:'] + shown + more
}

def sayDone(run, outdir) {
    def tables = ['table1.md', 'ablations.md'].collect { name -> file("${outdir}/tables/${name}", glob: false) }.findAll { table -> table.exists() }
    def out = file(outdir, glob: false).toAbsolutePath()
    failureText(outdir).delete()
    println("\n${tables.collect { table -> table.text.trim() }.join('\n\n')}\n\nReport: ${out}/report.html\nTables: ${out}/tables")
    def missing = leftOut(failedTasks(outdir), run)
    if (missing) {
        println((missing + ['This tries them again, and nothing else:', onceMore(run)]).join('\n'))
    }
}

def sayFailed(run, outdir) {
    def tasks = failedTasks(outdir)
    def fatal = tasks.findAll { task -> !task.tolerated }
    def lines = fatal.take(10).withIndex().collectMany { task, index ->
        ["${index ? 'And in' : 'The run stopped in'} ${called(task)}:"] + failureLines(task, run)
    }
    if (fatal.size() > 10) {
        lines << "And in ${fatal.size() - 10} more tasks: ${file(outdir, glob: false).toAbsolutePath()}/pipeline_info/failed_tasks.tsv"
    }
    if (!fatal) {
        // The fault is in no task.
        def said = (run.errorReport ?: run.errorMessage ?: 'it was interrupted').readLines().findAll { line -> line.trim() }
        lines = ['The run stopped:'] + said.take(40).collect { line -> "  ${line}" }
    }
    def kept = failureText(outdir)
    def text = (lines + leftOut(tasks, run) + ['', 'When the cause is mended, this goes on from here and repeats only what failed:', onceMore(run),
        "Stopped ${run.complete?.toLocalDateTime()?.withNano(0)?.toString()?.replace('T', ' ') ?: ''}; this text is kept in ${kept.toAbsolutePath()}"]).join('\n')
    kept.parent.mkdirs()
    kept.text = text + '\n'
    println("\n${text}")
}
