// What a person reads when the run ends, and the records that stay beside the results.

// OUT/pipeline_info/params.json and versions.txt
def writeRecords(Map values, List versions, run) {
    def folder = file("${values.outdir}/pipeline_info")
    folder.mkdirs()
    def record = [
        parameters: values.findAll { name, value -> value != null && name != 'help' },
        command: run.commandLine, profile: run.profile, revision: run.commitId ?: run.scriptId,
    ]
    folder.resolve('params.json').text = groovy.json.JsonOutput.prettyPrint(groovy.json.JsonOutput.toJson(record)) + '\n'
    def lines = versions.collect { process, text -> "${process.tokenize(':').last()}: ${text.trim()}" }.unique().sort()
    folder.resolve('versions.txt').text = (["Nextflow: ${run.nextflow.version}"] + lines).join('\n') + '\n'
}

def sayDone(outdir) {
    def tables = ['table1.md', 'ablations.md'].collect { name -> file("${outdir}/tables/${name}") }.findAll { table -> table.exists() }
    def out = file(outdir).toAbsolutePath()
    println("\n${tables.collect { table -> table.text.trim() }.join('\n\n')}\n\nReport: ${out}/report.html\nTables: ${out}/tables")
}

def sayFailed(run) {
    def report = run.errorReport ?: run.errorMessage ?: ''
    def step = report =~ /Error executing process > '([^']*)'/
    def folder = report =~ /Work dir:\s*\n\s*(\S+)/
    def said = (run.errorMessage ?: '').readLines().findAll { line -> line.trim() }
    // Our own fault lines where there are any; else the end of what the tool said, where a traceback names its cause.
    def lines = said.findAll { line -> line.startsWith('wssamnet: ') } ?: said.takeRight(3)
    println("\nThe run stopped${step.find() ? ' in ' + step.group(1).tokenize(':').last().replace(' (1)', '') : ''}:")
    lines.each { line -> println("  ${line}") }
    if (folder.find()) {
        println("Log: ${folder.group(1)}/.command.log")
    }
    println('When the cause is mended, the same command with -resume goes on from here.')
}
